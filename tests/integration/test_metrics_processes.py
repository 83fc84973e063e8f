"""The metrics of a real run: every process of the quickstart scenario, scraped while it works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_run import LiveRun
from prometheus_client.parser import text_string_to_metric_families

from emulator.nodes.edge_measured import SHOWN
from emulator.scenario_file import dump, load
from monitoring.metric import LABELS
from monitoring.metrics import METRICS

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
START = "import sys; from emulator.start import main; sys.exit(main(sys.argv[1:]))"
EVERYONE_S = 60.0
PROCESSES = 13


class Run:
    """A quickstart run that lasts until it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        text = (ROOT / "emulator/scenarios/quickstart.toml").read_text()
        (folder / "scenario.toml").write_text(re.sub(r"frames = \d+", "frames = 100000", text, count=1))
        (folder / "logs").mkdir()
        self.start("hub", "--run", str(folder))
        self.hub = self._hub()
        self.start("cloud")
        self.start("cell", "--index", "0", "--count", "5")
        for edge in range(5):
            self.start("edge", "--index", str(edge))
            self.start("agent", "--index", str(edge))

    def start(self, kind: str, *arguments: str) -> None:
        hub = () if kind == "hub" else ("--hub", self.hub["hub"])
        with (self.folder / "logs" / f"{kind}-{len(self.children)}.log").open("wb") as log:
            command = [sys.executable, "-c", START, kind, *hub, *arguments]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self.children.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment))

    def _hub(self) -> dict[str, Any]:
        until(lambda: (self.folder / "hub.json").exists(), "the hub starts")
        return json.loads((self.folder / "hub.json").read_text())

    def slots(self) -> int:
        table = self.folder / "slots.csv"
        return len(table.read_text().splitlines()) - 1 if table.exists() else 0

    def close(self) -> None:
        for child in self.children:
            child.terminate()
        for child in self.children:
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def until(condition: Any, what: str) -> None:
    """Wait for what other processes do; there is no event of theirs to wait for."""
    end_s = time.monotonic() + EVERYONE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end_s, f"not within {EVERYONE_S} s: {what}"
        pause.wait(0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run(tmp_path_factory.mktemp("run"))
    try:
        until(lambda: run.slots() >= 50, "50 slots")
        yield run
    finally:
        run.close()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10.0) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def pages(run: Run) -> dict[str, str]:
    found = json.loads(get(run.hub["metrics"].replace("/metrics", "/sd")))
    return {entry["labels"]["instance"]: get(f"http://{entry['targets'][0]}/metrics") for entry in found}


def series(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(page)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_service_discovery_finds_every_process(pages: dict[str, str]) -> None:
    assert len(pages) == PROCESSES
    assert {"hub", "cloud", "/edge/0", "/agent/4"} <= pages.keys()


def test_a_node_has_fewer_than_100_series(pages: dict[str, str]) -> None:
    for instance, page in pages.items():
        found = series(page)
        nodes = sum(value for (name, _), value in found.items() if name == "edgerig_process_nodes")
        assert len(found) < 100 * nodes, f"{instance} has {len(found)} series"


def test_every_measurement_of_a_run_is_declared(pages: dict[str, str]) -> None:
    for instance, page in pages.items():
        assert series(page)[("edgerig_measurements_undeclared", ())] == 0.0, instance


ELSEWHERE = (
    "edgerig_link_",
    "edgerig_bus_refused_",
    "edgerig_frames_",
    "edgerig_learning_",
    "edgerig_exploration_",
    "edgerig_replay_",
    "edgerig_slot_wall_",
    "edgerig_slot_lag_",
    "edgerig_foreign_",
)
"""Only where links are emulated, keys are used, agents are foreign or learn, or slots last, with tests of their own."""

RENTAL = (
    "edgerig_slot_reward_",
    "edgerig_edge_reward_",
    "edgerig_rented_",
    "edgerig_inference",
    "edgerig_letters_",
    "edgerig_negotiation",
    "edgerig_local_value",
)
"""Only in the rental world, the last ones where agents write to each other."""


def test_every_declared_metric_is_shown_by_some_process(pages: dict[str, str]) -> None:
    everything = "\n".join(pages.values())
    missing = [metric.name for metric in METRICS if f"# TYPE {metric.name} " not in everything]
    assert [name for name in missing if not name.startswith(ELSEWHERE + RENTAL)] == []


def test_the_rental_world_shows_metrics_of_its_own(tmp_path: Path) -> None:
    grouped = ("processes.edge=1", "processes.agent=1", "frames=100000", "agent.policy=owner")
    run = LiveRun(tmp_path, dump(load("quickstart-rental", grouped)))
    try:
        run.go_on(2)
        hub = json.loads((run.out / "hub.json").read_text())["metrics"]
        found = json.loads(get(hub.replace("/metrics", "/sd")))
        everything = [get(f"http://{entry['targets'][0]}/metrics") for entry in found]
        assert all(series(page)[("edgerig_measurements_undeclared", ())] == 0.0 for page in everything)
        wanted = [metric.name for metric in METRICS if metric.name.startswith(RENTAL)]
        missing = [name for name in wanted if not any(f"# TYPE {name} " in page for page in everything)]
        assert (len(wanted), missing) == (15, [])
        tasks = sum(
            value for page in everything for (name, _), value in series(page).items() if "service_tasks_total" in name
        )
        assert tasks > 0.0
        units = [value for page in everything for (name, _), value in series(page).items() if "rented_units" in name]
        assert len(units) == 9
    finally:
        run.stop()


def test_only_the_agreed_labels_are_used(pages: dict[str, str]) -> None:
    labels = {label for page in pages.values() for _, pairs in series(page) for label, _ in pairs}
    assert labels <= LABELS | {"le"}


def test_the_hub_counts_every_task_once(pages: dict[str, str]) -> None:
    found = series(pages["hub"])
    completed = sum(found["edgerig_tasks_total", (("target", t),)] for t in ("local", "peer", "cloud"))
    assert completed > 0.0
    assert found["edgerig_task_delay_seconds_count", ()] == pytest.approx(completed)
    assert found["edgerig_task_delay_seconds_bucket", (("le", "+Inf"),)] == pytest.approx(completed)


def test_edge_servers_count_the_tasks_of_their_cells_and_their_work(pages: dict[str, str]) -> None:
    hub = series(pages["hub"])
    ended = {t: hub["edgerig_tasks_total", (("target", t),)] for t in ("local", "peer", "cloud")}
    told = [series(pages[f"/edge/{n}"]) for n in range(5)]

    def total(name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(v for page in told for (found, pairs), v in page.items() if found == name and wanted <= set(pairs))

    # They are scraped a few slots later than the hub.
    assert total("edgerig_completed_tasks_total") == pytest.approx(sum(ended.values()), rel=0.5)
    assert 0.0 < total("edgerig_service_tasks_total") < total("edgerig_completed_tasks_total")
    assert 0.0 < total("edgerig_service_delay_seconds_total") < total("edgerig_completed_delay_seconds_total")
    assert total("edgerig_executed_tasks_total", target="own") == pytest.approx(ended["local"], rel=0.5)
    assert total("edgerig_executed_tasks_total", target="peers") == pytest.approx(ended["peer"], rel=0.5)
    shown = [sum(name == "edgerig_service_tasks_total" for name, _ in page) for page in told]
    assert all(0 < services <= SHOWN for services in shown), "those that are deployed"
    assert all(page["edgerig_decision_age_slots", (("edge", str(n)),)] < 5.0 for n, page in enumerate(told))


def test_an_agent_says_what_it_is(pages: dict[str, str]) -> None:
    [(_, pairs)] = [key for key in series(pages["/agent/3"]) if key[0] == "edgerig_agent_info"]
    assert {"edge": "3", "agent": "popularity", "role": "active"}.items() <= dict(pairs).items()


def test_an_edge_server_counts_its_decisions(pages: dict[str, str]) -> None:
    found = series(pages["/edge/2"])
    assert found["edgerig_decision_seconds_count", (("edge", "2"),)] >= 9.0
    assert found["edgerig_bus_messages_received_total", ()] >= 49.0


def test_the_run_goes_on_while_it_is_scraped(run: Run) -> None:
    before = run.slots()
    for _ in range(50):
        get(run.hub["metrics"])
    until(lambda: run.slots() > before + 10, "10 slots more")
