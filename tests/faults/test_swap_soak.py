"""Swaps in a row under load, with real processes: none misses a decision, and nothing is left of those that left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from live_run import PATIENCE_S, LiveRun, finished

from bus.client import Client
from bus.messages import Query, Vitals
from bus.swap_messages import Swap, SwapEnd, SwapQuery, SwapState, SwapStates

pytestmark = pytest.mark.processes
FEW, MANY = 4, 200
AGENTS = ("popularity", "cloud-only")
LEASES, PROCESSES = 7, 8
"""Hub, cloud, cells, two edge servers, two agents; and the launcher."""
WATCHED = ("hub", "edge-0", "edge-1", "cloud")


class Swapper:
    """Asks a live run's hub for swaps, one after the other."""

    def __init__(self, run: LiveRun) -> None:
        self.run = run

    def ask(self, swap: Swap) -> int:
        with Client(self.run.address, PATIENCE_S) as client:
            return client.call("swap", swap, SwapState).number

    def end(self, number: int, how: str) -> None:
        with Client(self.run.address, PATIENCE_S) as client:
            client.call("swap_end", SwapEnd(number, "rollback" if how == "rollback" else "drain"), SwapState)

    def state(self, number: int) -> SwapState:
        with Client(self.run.address, PATIENCE_S) as client:
            (found,) = client.call("swap_status", SwapQuery(number), SwapStates).swaps
        return found

    def until(self, number: int, *stages: str) -> SwapState:
        self.run.until(lambda: self.state(number).stage in (*stages, "failed"), f"swap {number} is {stages}")
        return self.state(number)

    def leases(self) -> int:
        with Client(self.run.address, PATIENCE_S) as client:
            return len(client.call("vitals", Query(), Vitals).processes)


def descriptors(run: LiveRun) -> dict[str, int]:
    """How many files each process has open."""
    pids = {name: run.pid(name) for name in WATCHED} | {"launcher": run.launcher.pid}
    return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}


def alone(run: LiveRun, swapper: Swapper) -> None:
    """Wait until those that left have ended."""
    run.until(lambda: len(run.survivors()) == PROCESSES and swapper.leases() == LEASES, "those before have ended")


def swap_often(run: LiveRun, count: int) -> None:
    """Each edge server's agent is swapped again and again, and what is there does not grow."""
    swapper = Swapper(run)
    for edge in (0, 1):  # the agents that the run began with go, and edge servers open what they need
        assert swapper.until(swapper.ask(Swap((edge,), AGENTS[0])), "done").stage == "done"
    alone(run, swapper)
    before = descriptors(run)
    for number in range(count):
        asked = Swap((number % 2,), AGENTS[number // 2 % 2], deadline_s=PATIENCE_S)
        state = swapper.until(swapper.ask(asked), "done")
        assert (state.stage, state.missed, state.gap_frames) == ("done", 0, 0), (number, state)
    alone(run, swapper)
    run.until(lambda: all(descriptors(run)[name] <= before[name] for name in before), f"as few files as {before}")


@pytest.mark.soak
def test_two_hundred_swaps_in_a_row_leave_nothing_behind(live: Callable[..., LiveRun]) -> None:
    run = live()
    run.until(lambda: run.slot() >= 3, "slot 3")
    swap_often(run, MANY)
    assert run.stop()["missed"] == 0


def test_some_swaps_in_a_row_leave_nothing_behind(live: Callable[..., LiveRun]) -> None:
    run = live()
    run.until(lambda: run.slot() >= 3, "slot 3")
    swap_often(run, FEW)
    summary = run.stop()
    assert (summary["missed"], summary["refused"]) == (0, 0)
    assert [swap["stage"] for swap in summary["swaps"]] == ["done"] * (FEW + 2)
    assert "Traceback" not in run.log()
    run.nobody_left()


def test_by_hand_and_what_a_killed_candidate_and_a_bad_file_come_to(
    live: Callable[..., LiveRun], tmp_path: Path
) -> None:
    run = live()
    run.until(lambda: run.slot() >= 3, "slot 3")
    swapper = Swapper(run)
    where = ("--run", str(run.out))
    done = finished("swap", "1", "cloud-only", "--hold", "-1", *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("swap 1, edge 1: bound; from frame")
    assert "missed decisions 0" in done.stdout
    run.kill("agent-1-swap-1")
    state = swapper.until(1, "rolled back")
    assert (state.stage, state.missed) == ("rolled back", 0)
    assert "agent-1-swap-1 is gone" in state.reason
    run.go_on()

    (tmp_path / "broken.py").write_text("class Mine:\n    def __init__(self, setup):\n        raise SystemExit(9)\n")
    (tmp_path / "agent.toml").write_text(
        'name = "mine"\nversion = "1"\nprotocol = 1\nworld = "offloading"\nkind = "python"\nfile = "broken.py"\n'
        'factory = "Mine"\n'
    )
    failed = finished("swap", "0", str(tmp_path / "agent.toml"), *where)
    assert failed.returncode == 3, failed.stderr
    assert "failed in stage" in failed.stdout
    assert "ended with code 9" in failed.stdout
    for arguments, text in (
        (("0", "nobody"), "nobody"),
        (("0", "local-search"), "observes the whole network"),
        (("9", "popularity"), "edge 9: there are 0..1"),
        (("0", "--to", "standby"), "names 0 of those who stand by: nobody"),
        (("0", "popularity", "--at", "40"), "must be like frame=40"),
        (("0", "--rollback"), "no swap is under way at edge 0"),
    ):
        refused = finished("swap", *arguments, *where)
        assert refused.returncode == 2, (arguments, refused)
        assert text in refused.stderr
        assert "Traceback" not in refused.stderr
    shown = finished("swap", "--list", *where)
    assert shown.stdout.splitlines()[0].startswith("swap 1, edge 1: rolled back; from frame")

    shadow = finished("swap", "1", "popularity", "--shadow", *where)
    assert shadow.returncode == 0, shadow.stderr
    assert "agent-1-shadow-1 shadows edge 1 from frame" in shadow.stdout
    ended = finished("swap", "1", "--shadow", "--drain", *where)
    assert "over: it was asked for" in ended.stdout

    number = swapper.ask(Swap((0,), "popularity", at_frame=90_000))
    run.until(lambda: swapper.state(number).stage != "starting", "it has come")
    run.kill("hub")
    assert run.wait() == 3
    events = [row.split(",")[1] for row in (run.out / "swaps.csv").read_text().splitlines() if row.startswith("3,")]
    assert events in (["asked"], ["asked", "ready"])
    run.nobody_left()
