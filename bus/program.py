"""A node as a program of its own: finds the hub, joins it as a guest, spins until it is stopped.

    with program("talker", [TopicSpec("chatter", Word)]) as node:
        publisher = node.publisher("chatter")
        node.timer(0.5, lambda: publisher.publish(Word("hello")))

The node spins when the block ends. Every program takes ``--hub``, ``--name``, ``--namespace``, ``--remap FROM:=TO``,
and ``--keys DIR`` for a hub with keys: the folder with ``hub.pub`` and ``guest.key``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from bus.credentials import GUEST
from bus.errors import BusError
from bus.keystore import Keystore
from bus.lifecycle import FINALIZED
from bus.node import Node
from bus.process import Process, stop_on_signals
from bus.topics import TABLE, TopicSpec

USAGE: Final = 2
LOST: Final = 3
LAST_WORDS_S: Final = 0.1


@contextmanager
def program(name: str, rows: Iterable[TopicSpec] = (), arguments: Sequence[str] | None = None) -> Iterator[Node]:
    """Join the hub as one node, and spin after the block until SIGINT, SIGTERM or the hub's end.

    Args:
        name: Of the node, relative ones in the program's namespace.
        rows: Topics of one's own, besides those of the shipped table.
        arguments: Of the command line; by default ``sys.argv``.
    Raises: SystemExit: 2 a name or an argument is none, 3 no hub, or it is lost; each with one line on stderr.
    """
    options = _parser(name).parse_args(sys.argv[1:] if arguments is None else list(arguments))
    if not options.hub:
        _leave(f"{name}: no hub; give --hub tcp://HOST:PORT or set EDGERIG_HUB (`edgerig hub` starts one)", USAGE)
    try:
        process = Process(
            f"{options.name.strip('/').replace('/', '-')}-{os.getpid()}",
            table=TABLE.extended(rows),
            remap=options.remap,
            namespace=options.namespace,
            keys=Keystore(Path(options.keys)).keys(GUEST) if options.keys else None,
        )
    except (BusError, ValueError) as error:
        _leave(str(error), USAGE)
    stop_on_signals(process)
    try:
        node = process.node(*process.join_as(options.hub, options.name))
        node.subscribe("/hub/shutdown", lambda _message, _header: process.stop())
        yield node
        process.register()
        process.spin(lambda: node.lifecycle is not None and node.lifecycle.state == FINALIZED)
        if not process.stopping:
            process.spin(None, LAST_WORDS_S)  # whoever finalized the node gets an answer
    except ValueError as error:
        _leave(f"{name}: {error}", USAGE)
    except BusError as error:
        _leave(f"{name}: {error}", LOST)
    finally:
        process.close()


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hub", default=os.environ.get("EDGERIG_HUB", ""), help="the hub, tcp://HOST:PORT")
    parser.add_argument("--keys", default=os.environ.get("EDGERIG_KEYS", ""), help="the keystore, if the hub has keys")
    parser.add_argument("--name", default=name, help="the node's name")
    parser.add_argument("--namespace", default="/", help="where relative names belong")
    parser.add_argument("--remap", action="append", default=[], metavar="FROM:=TO", help="may be repeated")
    return parser


def _leave(text: str, code: int) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(code)
