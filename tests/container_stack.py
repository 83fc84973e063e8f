"""The containers of one run of the real compose.yaml, looked at from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from live_run import ROOT, until

from emulator.container_run import ContainerRun, EngineFailed

TAG = "test"
PINS = " ".join(f"{name}=={metadata.version(name)}" for name in ("numpy", "msgspec", "pyzmq"))
"""Packages whose version may change the last bits of a number; images get those that run here."""

WITHOUT_GRAFANA = ROOT / "tests" / "containers" / "without-grafana.yaml"
"""No image of it can be had where these tests run; everything else is as it is."""

COMMAND_S = 300.0
EDGES = 5
"""Of the run that tests share."""


def run(*command: str, timeout_s: float = COMMAND_S, check: bool = True, **env: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        command, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Stack(ContainerRun):
    """The containers of one run of tests."""

    def __init__(self, name: str, file: Path = ROOT / "compose.yaml", **env: str) -> None:
        told = {"EDGERIG_TAG": TAG, "PINS": PINS, "PROMETHEUS_PORT": "0", **env}
        super().__init__(f"edgerig-{name}-{os.getpid()}", (file, WITHOUT_GRAFANA), told)

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return found

    def hub(self, *arguments: str) -> str:
        """A tool in the hub's container."""
        return self.inside("hub", "edgerig", *arguments)

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
        found = self.series(expression)
        return {labels.get("node") or labels.get("instance", ""): value for labels, value in found}

    def deciding(self) -> dict[str, str]:
        """Who decides, by edge server, as Prometheus sees it."""
        return {labels["edge"]: labels["agent"] for labels, _ in self.series('edgerig_agent_info{role="active"} == 1')}

    def is_whole(self) -> bool:
        """Whether everyone takes part, as hub and Prometheus see it."""
        up = self.query("edgerig_node_up")
        wanted = {f"/{kind}/{n}" for kind in ("edge", "agent", "cell") for n in range(EDGES)} | {"/cloud", "/scheduler"}
        return wanted <= up.keys() and all(up.values()) and set(self.holders()) >= {n for n in wanted if n[1] in "ea"}

    def alerted(self) -> set[str]:
        """Names of the alerts that Alertmanager has and that are not over."""
        found = self.inside("alertmanager", "wget", "-q", "-O", "-", "http://127.0.0.1:9093/api/v2/alerts")
        return {alert["labels"]["alertname"] for alert in json.loads(found)}

    def addresses(self, container: str) -> dict[str, str]:
        """A container's address in each of its networks."""
        networks = self.inspect(container)["NetworkSettings"]["Networks"]
        return {name.removeprefix(f"{self.name}_"): each["IPAddress"] for name, each in networks.items()}

    def is_well(self, container: str) -> bool:
        """Whether the image's health check says so when it is asked now; the engine asks rarely."""
        check = self.inspect(container)["Config"]["Healthcheck"]["Test"][1:]
        return self.docker("exec", container, *check).startswith("healthy")

    def exit_codes(self, container: str, since_s: float) -> list[int]:
        """How a container ended, each time since then."""
        found = self.docker(
            "events", "--since", str(int(since_s)), "--until", "0s", "--filter", f"container={container}",
            "--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}",
        )  # fmt: skip
        return [int(code) for code in found.split()]

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = 120.0) -> Any:
        """Wait; a tool that gets no answer in time is asked again, since the machine may be anything but idle."""
        troubles: list[EngineFailed] = []

        def holds() -> Any:
            try:
                return condition()
            except EngineFailed as error:
                troubles[:] = [error]
                return False

        try:
            return until(holds, what, patience_s)
        except AssertionError as error:
            told = [error, *troubles, self.compose("logs", "--tail", "15")]
            raise AssertionError("\n".join(map(str, told))) from None

    def took(self, condition: Callable[[], Any], what: str) -> float:
        """Seconds until a condition holds."""
        started_s = time.monotonic()
        self.until(condition, what)
        return time.monotonic() - started_s
