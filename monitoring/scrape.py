"""Answers HTTP requests of one process: /metrics, and on the hub /sd and /healthz.

Imported on the first request only, see ``monitoring.exporter``.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, cast
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bus.messages import Peer
from bus.peers import shown_as
from bus.process import Process
from monitoring.collector import Collector, whole

Answer = tuple[HTTPStatus, str, bytes]  # status, content type, body

SILENCE_S: Final = 5.0
JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"

_log = logging.getLogger("metrics")


class Site:
    """What a process answers to each path.

    Args:
        peers: The processes of the run, for service discovery; only the hub knows them.
        run: The run's name, a label of all that is discovered.
    """

    def __init__(self, process: Process, peers: Callable[[], list[Peer]] | None, run: str) -> None:
        self._process = process
        self._peers = peers
        self._run = run
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(Collector(process))

    def answer(self, path: str, accept: str) -> Answer:
        """The answer to a GET."""
        path = path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(self._registry)
        if self._peers is not None and path == "/sd":
            return HTTPStatus.OK, JSON, json.dumps(targets(whole(self._peers), self._run)).encode()
        if self._peers is not None and path == "/healthz":
            return HTTPStatus.OK, TEXT, b"ok\n"
        known = "/metrics" if self._peers is None else "/metrics, /sd, /healthz"
        return HTTPStatus.NOT_FOUND, TEXT, f"{self._process.name} serves {known}\n".encode()


def targets(peers: list[Peer], run: str) -> list[dict[str, Any]]:
    """The run's processes as Prometheus HTTP service discovery wants them.

    A process with one node goes by the node's name, so that a replacement continues its series.
    """
    found = []
    for peer in sorted(peers, key=lambda peer: peer.process):
        address = _address(peer.metrics_url)
        if address:
            found.append({"targets": [address], "labels": {"instance": shown_as(peer), "run": run}})
    return found


def _address(url: str) -> str:
    """HOST:PORT of a URL; empty where a peer told none, or none that can be asked."""
    try:
        parts = urlsplit(url)
        return parts.netloc if parts.scheme == "http" and parts.hostname and parts.port else ""
    except ValueError:
        return ""


class _Handler(BaseHTTPRequestHandler):
    timeout = SILENCE_S
    server_version = "edgerig"
    sys_version = ""

    def __init__(self, site: Site, connection: socket.socket, client: Any) -> None:
        self._site = site
        super().__init__(connection, client, cast("Any", None))  # it answers right here, and only keeps the server

    def do_GET(self) -> None:
        status, content_type, body = self._site.answer(self.path, self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as http.server calls it
        _log.debug(format, *args)


def serve(site: Site, connection: socket.socket, client: Any) -> None:
    """Answer one connection, then close it."""
    with connection:
        try:
            _Handler(site, connection, client)
        except OSError as error:  # gone, or silent for too long
            _log.debug("a scrape broke off: %s", error)
