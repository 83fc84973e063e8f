"""The containers of one run of the real compose.yaml, looked at from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from live_run import ROOT, until

TAG = "test"
WITHOUT_GRAFANA = ROOT / "tests" / "containers" / "without-grafana.yaml"
"""No image of it can be had where these tests run; everything else is as it is."""

COMMAND_S = 300.0


def run(*command: str, timeout_s: float = COMMAND_S, check: bool = True, **env: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        command, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Stack:
    """The containers of one run."""

    def __init__(self, name: str, file: Path = ROOT / "compose.yaml", **env: str) -> None:
        self.files = (file, WITHOUT_GRAFANA)
        self.name = f"edgerig-{name}-{os.getpid()}"
        self.env = {"EDGERIG_TAG": TAG, "PROMETHEUS_PORT": "0", **env}

    def compose(self, *arguments: str, check: bool = True) -> str:
        files = [part for file in self.files for part in ("-f", str(file))]
        return run("docker", "compose", *files, "-p", self.name, *arguments, check=check, **self.env)

    def containers(self, service: str) -> list[str]:
        """Ids of a service's containers, also of those that have ended."""
        return self.compose("ps", "-aq", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run("docker", "inspect", container))[0]
        return found

    def hub(self, *arguments: str) -> str:
        """A tool in the hub's container."""
        return self.compose("exec", "-T", "hub", "edgerig", *arguments)

    def holders(self) -> dict[str, str]:
        """The container of each node that takes part: short id by node."""
        nodes = json.loads(self.hub("node", "list", "--json"))["nodes"]
        apart = ("/hub", "/ledger", "/cloud", "/scheduler", "/cell")
        return {
            each["node"]: each["process"].split("-")[1]
            for each in nodes
            if each["member"] and not each["node"].startswith(apart)
        }

    def query(self, expression: str) -> dict[str, float]:
        """What Prometheus answers, by node where a series has one, else by instance."""
        where = self.compose("port", "prometheus", "9090").strip()
        assert where.startswith("127.0.0.1:")
        url = f"http://{where}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10.0) as answer:
            found = json.load(answer)["data"]["result"]
        return {one["metric"].get("node") or one["metric"].get("instance", ""): float(one["value"][1]) for one in found}

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = 60.0) -> Any:
        try:
            return until(condition, what, patience_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.compose('logs', '--tail', '15', check=False)}") from None

    def took(self, condition: Callable[[], Any], what: str) -> float:
        """Seconds until a condition holds."""
        started_s = time.monotonic()
        self.until(condition, what)
        return time.monotonic() - started_s

    def folder(self, to: Path) -> Path:
        """The run folder, copied out of the hub's container."""
        self.compose("cp", "hub:/edgerig/runs", str(to))
        return next(path for path in to.iterdir() if path.is_dir())

    def down(self) -> None:
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "3", check=False)
