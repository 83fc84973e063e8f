"""kill -9 of real processes: noticed at once, named, gone on without, and back at a frame's first slot."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from live_run import PATIENCE_S, SMALL, LiveRun, until

from emulator.assembly import build_demand
from emulator.scenario_file import parse

pytestmark = pytest.mark.processes

KINDS = {
    "cell": ("cell-0-1", {"/cell/0", "/cell/1"}, ["--cell", "0", "--count", "2"]),
    "edge": ("edge-1", {"/edge/1"}, ["--edge", "1"]),
    "agent": ("agent-1", {"/agent/1"}, ["--agent", "1"]),
    "cloud": ("cloud", {"/cloud", "/scheduler"}, []),
}
RESTARTING = SMALL + "".join("[restart]\n" if kind is None else f'{kind} = "on-failure"\n' for kind in (None, *KINDS))


@pytest.fixture(scope="module")
def run(lasting: Callable[..., LiveRun]) -> Iterator[LiveRun]:
    """One run for all deaths, without restarts."""
    run = lasting(SMALL)
    run.until(lambda: run.slot() >= 3, "slot 3")
    yield run
    check(run.stop(), run)
    run.nobody_left()


def check(summary: dict[str, object], run: LiveRun) -> None:
    """Each task ended once (else exit 4), and only cells that were dead had no arrivals."""
    slots = run.slots()
    demand = build_demand(parse(SMALL, origin="small"), range(2))
    told = summary["notes"]
    for slot, tasks in zip(slots["slot"], slots["tasks"], strict=True):
        everyone = sum(cell.counts(int(slot)).sum() for cell in demand)
        assert tasks in (everyone, 0.0), told
    ended = [slots[name] for name in ("local", "peer", "cloud", "dropped")]
    assert [sum(parts) for parts in zip(*ended, strict=True)] == pytest.approx(slots["tasks"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_process_is_named_and_replaced_by_hand(run: LiveRun, kind: str) -> None:
    process, names, arguments = KINDS[kind]
    run.kill(process)
    run.until(lambda: not names & run.members(), f"{process} is missed")
    notes = " ".join(run.status().notes)  # type: ignore[union-attr]
    assert f"lost {', '.join(sorted(names))}: its process ended with code -9" in notes
    run.go_on()
    run.helper("node", "start", kind, *arguments, "--hub", run.address)
    run.until(lambda: names <= run.members(), f"{process} is back")
    notes = " ".join(run.status().notes)  # type: ignore[union-attr]
    (slot,) = re.findall(rf"{process} takes part from slot (\d+) on", notes)[-1:]
    assert int(slot) % 5 == 0
    events = [json.loads(line) for line in (run.out / "events.jsonl").read_text().splitlines()]
    mine = [event["kind"] for event in events if names & set(event["nodes"])]
    assert mine[-2:] == ["lost", "joined"]
    run.go_on()


def test_a_name_that_is_held_is_refused(run: LiveRun) -> None:
    second = run.helper("node", "start", "edge", "--edge", "0", "--hub", run.address, "--wait", "0")
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2
    assert "/edge/0 is held by edge-0; stop it or take another index" in err.decode()


def test_the_launcher_starts_a_killed_process_again(live: Callable[..., LiveRun]) -> None:
    run = live(RESTARTING)
    run.until(lambda: run.slot() >= 3, "slot 3")
    for process, names, _ in KINDS.values():
        pid = run.kill(process)
        run.until(lambda process=process, pid=pid: is_new(run, process, pid), f"{process} starts again")
        run.until(lambda names=names: names <= run.members(), f"{process} is back")
    run.go_on()
    summary = run.stop()
    check(summary, run)
    for process, _, _ in KINDS.values():
        assert any(f"{process} ended with code -9; started again" in note for note in summary["notes"])


def is_new(run: LiveRun, process: str, pid: int) -> bool:
    try:
        return run.pid(process) != pid
    except StopIteration:
        return False


def test_a_killed_hub_ends_the_run_with_3_and_a_folder_that_can_be_read(live: Callable[..., LiveRun]) -> None:
    run = live(SMALL)
    run.until(lambda: run.slot() >= 7, "slot 7")
    run.kill("hub")
    assert run.wait() == 3
    run.nobody_left(5.0)
    summary = run.summary()
    assert (summary["exit_code"], summary["interrupted"]) == (3, False)
    assert summary["slots"] == len(run.slots()["slot"]) >= 7
    assert summary["tasks"]["local"] > 0.0
    assert "Traceback" not in run.log()


def test_members_started_by_hand_end_with_3_when_the_hub_is_killed(live: Callable[..., LiveRun]) -> None:
    run = live(SMALL.replace("[edges]", "[deadlines]\nhub_s = 1.0\n[edges]"))
    run.until(lambda: run.slot() >= 3, "slot 3")
    run.kill("edge-1")
    edge = run.helper("node", "start", "edge", "--edge", "1", "--hub", run.address)
    run.until(lambda: "/edge/1" in run.members() and is_new(run, "edge-1", 0), "edge 1 is back")
    until(lambda: run.pid("edge-1") == edge.pid, "it is the new one")
    run.kill("hub")
    _, err = edge.communicate(timeout=PATIENCE_S)
    assert edge.returncode == 3
    assert "Traceback" not in err.decode()
    assert run.wait() == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_soon_and_leaves_a_folder_and_no_process(
    live: Callable[..., LiveRun], number: signal.Signals
) -> None:
    run = live(SMALL)
    run.until(lambda: run.slot() >= 7, "slot 7")
    run.launcher.send_signal(number)
    assert run.wait(10.0) == 130
    run.nobody_left(2.0)
    summary = run.summary()
    assert (summary["exit_code"], summary["interrupted"]) == (130, True)
    assert summary["slots"] == len(run.slots()["slot"]) >= 7
    assert summary["digest"]
    assert "Traceback" not in run.log()


def test_an_impatient_second_ctrl_c_leaves_no_process_either(live: Callable[..., LiveRun]) -> None:
    run = live(SMALL)
    run.until(lambda: run.slot() >= 3, "slot 3")
    for _ in range(5):
        run.launcher.send_signal(signal.SIGINT)
    assert run.wait(15.0) == 130
    run.nobody_left(5.0)
    assert run.summary()["interrupted"]


def test_ctrl_c_while_everything_starts_leaves_no_process(live: Callable[..., LiveRun]) -> None:
    run = live(SMALL)
    run.until(lambda: (run.out / "logs" / "edge-0.log").exists(), "processes are being started")
    run.launcher.send_signal(signal.SIGINT)
    assert run.wait(15.0) == 130
    run.nobody_left(5.0)


def test_a_killed_launcher_leaves_no_process_behind(live: Callable[..., LiveRun]) -> None:
    run = live(SMALL)
    run.until(lambda: run.slot() >= 3, "slot 3")
    run.launcher.kill()
    run.launcher.wait(PATIENCE_S)
    run.nobody_left(15.0)
    assert run.slots()["slot"][:3] == [0.0, 1.0, 2.0]


def test_a_process_that_stands_still_for_a_moment_does_no_harm(run: LiveRun) -> None:
    before = run.members()
    for process in ("edge-0", "cell-0-1", "cloud"):
        pid = run.kill(process, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            run.launcher.wait(0.5)
        run.signal(pid, signal.SIGCONT)
        run.go_on()
    assert run.members() == before
