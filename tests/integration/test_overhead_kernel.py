"""A run's messages.csv against the kernel: all bytes of all TCP connections of all its processes, within 0.1 %."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_counters import Connection, Undertaker, own_connections
from live_run import until

from bus.client import Client
from bus.messages import RunStatus
from emulator import run as runs
from emulator import scenario_file
from emulator.launch import Launcher

pytestmark = pytest.mark.processes

TOLERANCE = 0.001
WITHOUT = "EDGERIG_WITHOUT_NETLINK"


@pytest.fixture
def undertaker() -> Iterator[Undertaker]:
    try:
        made = Undertaker()
    except PermissionError as error:
        why = f"the kernel does not tell of ended connections here ({error}; it takes CAP_NET_ADMIN)"
        if os.environ.get(WITHOUT):
            pytest.skip(f"{why}; {WITHOUT}={os.environ[WITHOUT]}")
        pytest.fail(f"{why}; run as root, or set {WITHOUT}=REASON to go without this check")
    yield made
    made.close()


class Ports:
    """The ports of a run's processes, and those of its launcher and of this test, which are no part of it."""

    def __init__(self) -> None:
        self.run: set[int] = set()
        self.ours: set[int] = set()
        self._launcher: Launcher | None = None

    def on_start(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self.run.add(port(launcher.address))

    def on_status(self, status: RunStatus) -> None:
        if status.phase == "running" and len(self.run) == 1 and self._launcher is not None:
            with Client(self._launcher.address) as client:
                for peer in client.peers():
                    self.run |= {port(peer.endpoint), port(peer.call_endpoint)}
                self._note_ours()
        self._note_ours()

    def _note_ours(self) -> None:
        self.ours |= {end.local_port for end in own_connections()}

    def sent(self, ends: list[Connection]) -> int:
        """Bytes that the run's processes sent."""
        return sum(
            e.sent_bytes for e in ends if {e.local_port, e.remote_port} & self.run and e.local_port not in self.ours
        )


def port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def test_all_bytes_of_a_run_are_accounted_for(tmp_path: Path, undertaker: Undertaker) -> None:
    scenario = runs.prepare(scenario_file.load("quickstart", ["frames=100"]), on_bus=True)
    ports = Ports()
    result = runs.on_bus(scenario, str(tmp_path / "run"), ports.on_status, ports.on_start)
    assert result.code == 0
    assert len(ports.run) > 2 * 13, "the run was over before its processes could be asked for"
    with (result.folder / "messages.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    booked = sum(int(row["wire_bytes"]) for row in rows)
    until(lambda: ports.sent(undertaker.listen()) >= (1.0 - TOLERANCE) * booked, "the kernel says as much")
    measured = ports.sent(undertaker.listen())
    assert booked == pytest.approx(measured, rel=TOLERANCE), f"{booked} booked, {measured} measured"
    check_summary(json.loads((result.folder / "summary.json").read_text()), rows)


def check_summary(summary: dict[str, dict[str, object]], rows: list[dict[str, str]]) -> None:
    """Totals are the sums of the rows."""
    own = [row for row in rows if row["class"] != "observed"]
    for document, column in ((summary["messages"], "messages"), (summary["bytes"], "wire_bytes")):
        total = sum(int(row[column]) for row in own)
        assert document["total" if column == "messages" else "wire"] == total
        for name in ("class", "plane", "phase"):
            sums: Counter[str] = Counter()
            for row in own:
                sums[row[name]] += int(row[column])
            assert document[f"by_{name}"] == dict(sorted(sums.items()))
            assert sum(sums.values()) == total
    for row in own:
        parts = int(row["payload_bytes"]) + int(row["header_bytes"])
        assert row["wire_bytes"] == "0" or row["topic"] == "(link)" or int(row["wire_bytes"]) > parts
