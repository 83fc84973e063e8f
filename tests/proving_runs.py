"""The runs that prove the panels of dashboards, side by side on the wall clock, and a Prometheus that watches."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from container_stack import run
from live_run import ROOT, LiveRun, finished, until

from emulator.scenario_file import dump, load
from monitoring.dashboards.declared import Proof

IMAGE = "prom/prometheus:v3.5.0"
STEP_S = 2.0
"""As often as Prometheus scrapes."""

RATE_INTERVAL = "8s"
"""What Grafana puts for $__rate_interval: four times the scrape interval."""

START_S = 150.0
"""On a machine that is busy PyTorch alone takes longer to load than a run is patient."""

LOST_S, BACK_S, LAST_S = 20.0, 45.0, 70.0
"""Seconds after the first slot: the fault run loses an agent, somebody takes its name, all is seen."""

GROUPED = ("processes.edge=1", "processes.agent=1", "frames=1000000")
SCENARIOS: Mapping[Proof, tuple[str, tuple[str, ...], str]] = {
    "offloading": ("quickstart", GROUPED, "60"),
    "rental": ("quickstart-rental", (*GROUPED, "agent.policy=owner"), "1200"),
    "learning": ("quickstart", (*GROUPED, "agent.policy=ttosc", "edges.count=3", "services.count=8"), "600"),
    "swap": ("quickstart", GROUPED, "60"),
    "fault": ("lossy", (GROUPED[0], GROUPED[2], "network.loss=0.02", "slot_s=1.0"), "1"),
}
"""Scenario, changes, and emulated seconds per second: slots of a second, or of a tenth where frames are to be many."""

KEYED: Proof = "offloading"
"""The run with keys, at whose hub strangers knock."""

Series = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, and (time, value)."""


def begun(run: LiveRun) -> bool:
    """Whether a slot is written down; whoever asks the hub would need its keys."""
    table = run.out / "slots.csv"
    return table.exists() and table.read_bytes().count(b"\n") > 1


@dataclass
class Proofs:
    """The runs, and what Prometheus knows of them."""

    folder: Path
    runs: dict[Proof, LiveRun] = field(default_factory=dict)
    container: str = ""
    url: str = ""
    began_s: float = 0.0
    ended_s: float = 0.0

    def start(self) -> None:
        for proof, (scenario, changes, rate) in SCENARIOS.items():
            text = dump(load(scenario, (*changes, f"deadlines.start_s={START_S}")))
            keys = ("--keys", str(self._keystore(KEYED))) if proof == KEYED else ()
            self.runs[proof] = LiveRun(self.folder, text, "--rate", rate, *keys, name=proof)
        hubs = [self._metrics(made) for made in self.runs.values()]
        self._prometheus([hub.replace("/metrics", "/sd") for hub in hubs])
        for made in self.runs.values():
            made.until(lambda made=made: begun(made), "the first slot", START_S)
        self.began_s = time.time()

    def _keystore(self, name: str) -> Path:
        keys = self.folder / f"{name}-keys"
        done = finished("keys", "create", str(keys))
        assert done.returncode == 0, done.stderr
        return keys

    def _stranger(self) -> None:
        """Somebody with other keys knocks at the hub, and is not let in."""
        keys = str(self._keystore(f"stranger-{uuid.uuid4().hex[:8]}"))
        done = finished("node", "list", "--hub", self.runs[KEYED].address, env={"EDGERIG_KEYS": keys})
        assert done.returncode == 3, done.stdout + done.stderr

    def _metrics(self, made: LiveRun) -> str:
        file = made.out / "hub.json"
        made.until(file.exists, "the hub says where it is")
        return str(json.loads(file.read_text())["metrics"])

    def _prometheus(self, discovery: list[str]) -> None:
        """The configuration that is shipped, but for where the hubs are."""
        shipped = ROOT / "monitoring" / "prometheus"
        text = (shipped / "prometheus.yml").read_text(encoding="utf-8")
        at = "".join(f"      - url: {url}\n        refresh_interval: 5s\n" for url in discovery)
        text, found = re.subn(r"      - url: http://hub-control:9400/sd\n        refresh_interval: 5s\n", at, text)
        assert found == 1
        rules = self.folder / "prometheus"
        rules.mkdir()
        (rules / "prometheus.yml").write_text(text, encoding="utf-8")
        for name in ("recording.yml", "alerts.yml"):
            (rules / name).write_bytes((shipped / name).read_bytes())
        for path in (self.folder, rules, *rules.iterdir()):
            path.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.container = f"edgerig-proofs-{uuid.uuid4().hex[:8]}"
        run(
            "docker", "run", "-d", "--name", self.container, "--network", "host", "-v", f"{rules}:/etc/prometheus:ro",
            IMAGE, "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus",
            f"--web.listen-address=127.0.0.1:{port}",
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"

    def go_through(self) -> None:
        """Let all happen that the panels are to show."""
        fault = self.runs["fault"]
        self._until_s(LOST_S)
        fault.kill("agent-2")
        self._stranger()
        done = finished("swap", "3", "cloud-only", "--hub", self.runs["swap"].address)
        assert done.returncode == 0, done.stdout + done.stderr
        self._until_s(BACK_S)
        self._stranger()
        fault.helper("node", "start", "agent", "--index", "2", "--hub", fault.address)
        self._until_s(LAST_S)
        until(lambda: self.range('edgerig_node_up{run="fault", node="/agent/2"} == 1'), "the agent is replaced")
        self.ended_s = time.time()

    def _until_s(self, seconds: float) -> None:
        while time.time() < self.began_s + seconds:
            for made in self.runs.values():
                made.after(0.2)

    def range(self, expression: str) -> list[Series]:
        """What Prometheus answers for the time since the first slot, at every scrape."""
        asked = {
            "query": expression,
            "start": self.began_s,
            "end": self.ended_s or time.time(),
            "step": STEP_S,
        }
        found = self._get("query_range", asked)["result"]
        return [(one["metric"], [(float(t), float(v)) for t, v in one["values"]]) for one in found]

    def values(self, label: str, metric: str) -> list[str]:
        """What a variable offers: Grafana's label_values(metric, label)."""
        return [str(value) for value in self._get(f"label/{label}/values", {"match[]": metric})]

    def _get(self, what: str, asked: Mapping[str, Any]) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=30.0) as answer:
            return json.load(answer)["data"]

    def shown(self, expression: str, proof: Proof, edge: str = "0") -> list[Series]:
        """What a panel shows of a run."""
        replaced = {"$run": proof, "$edge": edge, "$__rate_interval": RATE_INTERVAL}
        for name, value in replaced.items():
            expression = expression.replace(name, value)
        return self.range(expression)

    def close(self) -> None:
        if self.container:
            run("docker", "rm", "-f", self.container, check=False)
        for made in self.runs.values():
            made.close()
