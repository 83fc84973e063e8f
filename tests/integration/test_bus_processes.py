"""The bus between real processes: a hub here, members in child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from bus.client import Client
from bus.messages import Deployment, Peer, Tick
from bus.process import Process
from bus.registry import Registry

pytestmark = pytest.mark.processes

MEMBER = """
import sys
from bus.messages import Deployment
from bus.process import Process, stop_on_signals

process = Process(sys.argv[2])
stop_on_signals(process)
(name,) = process.join(sys.argv[1], "agent", int(sys.argv[3]), wait_s=5.0)
node = process.node(name)
index = int(name.rsplit("/", 1)[1])
deployment = node.publisher(f"{name}/deployment")
node.subscribe("/hub/tick", lambda tick, header: deployment.publish(Deployment(index, tick.frame, ()), slot=tick.slot))
process.register()
process.spin()
process.close("told to stop")
"""


class Run:
    def __init__(self, agents: int) -> None:
        self.agents = agents
        self.lost: list[tuple[str, str]] = []
        self.process = Process("hub")
        self.registry = Registry(self.process, {"agent": agents}, on_lost=self._on_lost)
        self.node = self.process.node("/hub")
        self.tick = self.node.publisher("/hub/tick")
        self.got: list[list[Deployment]] = []
        for index in range(agents):
            self.node.collect("deployment", f"/agent/{index}/deployment", index)
        self.process.register()
        self.children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, index: int) -> None:
        self.children[index] = subprocess.Popen(
            [sys.executable, "-c", MEMBER, self.registry.address, f"agent-{index}", str(index)]
        )

    def until_ready(self) -> None:
        assert self.process.spin(lambda: not self.registry.missing(), 20.0), self.registry.missing()

    def slot(self, slot: int) -> None:
        self.got.clear()
        self.node.begin(slot, 0)
        self.node.gather("deployment", range(self.agents), slot, 0, self.got.append)
        self.tick.publish(Tick(slot, slot, 0), slot=slot)
        assert self.process.spin(lambda: bool(self.got), 10.0), self.node.waiting()
        assert self.got == [[Deployment(index, slot, ()) for index in range(self.agents)]]

    def close(self) -> None:
        for child in self.children.values():
            child.kill()
            child.wait(10)
        self.process.close()

    def _on_lost(self, peer: Peer, reason: str) -> None:
        self.lost.append((peer.process, reason))


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run(2)
    try:
        for index in range(2):
            run.start(index)
        run.until_ready()
        yield run
    finally:
        run.close()


def test_slots_go_round_between_processes(run: Run) -> None:
    for slot in range(200):
        run.slot(slot)
    assert all(subscription.lost == 0 for subscription in run.process.subscriptions.values())


def test_a_killed_process_is_replaced_under_its_name(run: Run) -> None:
    run.slot(0)
    run.children[1].kill()
    code = run.children[1].wait(10)
    known: list[bool] = []

    def report() -> None:  # the launcher's part
        with Client(run.registry.address) as client:
            known.append(client.report_exit("agent-1", run.children[1].pid, code))

    launcher = threading.Thread(target=report)
    launcher.start()
    assert run.process.spin(lambda: bool(run.lost), 5.0)
    launcher.join(5.0)
    assert known == [True]
    assert run.lost == [("agent-1", "its process ended with code -9")]
    run.start(1)
    run.until_ready()
    run.slot(1)


def test_a_stopped_and_continued_process_does_no_harm(run: Run) -> None:
    run.slot(0)
    os.kill(run.children[0].pid, signal.SIGSTOP)
    run.process.spin(None, 0.3)
    os.kill(run.children[0].pid, signal.SIGCONT)
    run.slot(1)
    assert run.lost == []


def test_a_terminated_process_leaves_with_a_word(run: Run) -> None:
    run.children[0].terminate()
    assert run.process.spin(lambda: bool(run.lost), 5.0)
    assert run.lost == [("agent-0", "left told to stop")]
    assert run.children[0].wait(10) == 0


def test_a_client_sees_the_state_of_the_start(run: Run) -> None:
    seen: list[object] = []

    def look() -> None:
        with Client(run.registry.address) as client:
            seen.extend([client.status(), client.peers()])

    tool = threading.Thread(target=look)
    tool.start()
    assert run.process.spin(lambda: len(seen) == 2, 5.0)
    tool.join(5.0)
    status, peers = seen
    assert status.missing == ()  # type: ignore[attr-defined]
    assert sorted(status.ready) == ["agent-0", "agent-1", "hub"]  # type: ignore[attr-defined]
    assert len(peers) == 3  # type: ignore[arg-type]
