"""How fast the world is: in one process, and as processes in lockstep against the same bytes without a bus.

Wires runs together, so it may import upward. What *bare* is: ``bus.bench_bare`` and docs/benchmarks.md.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agents import rollout
from bus import bench_bare
from bus.client import Client
from bus.errors import BusError
from bus.messages import Peer, RunStatus
from emulator import bench_plan, folder
from emulator import run as runs
from emulator.launch import Launcher
from emulator.scenario import Scenario
from emulator.scenario_file import load
from emulator.world import World

WARM_UP_SLOTS = 50
"""Slots of each run that do not count: buffers fill, caches warm, starting processes leave the cores."""

MB = 1e6
Progress = Callable[[str], None]


def _say(text: str) -> None:
    sys.stderr.write(f"bench emulation: {text}\n")


@dataclass
class _Watched:
    """What was seen of a run while it went on."""

    peers: tuple[Peer, ...] = ()
    agent_uss_bytes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Run:
    """One run on the bus."""

    slots_per_s: float
    first_slot_s: float
    messages: int
    wire_bytes: int
    watched: _Watched


def run(
    *, seed: int = 1, rounds: int = 5, frames: int = 120, starts: int = 3, progress: Progress = _say
) -> dict[str, float | int | str]:
    """Measures the emulation at M=5 J=20 K=5 with exact scheduling (Numba).

    Args:
        seed: Of the demand.
        rounds: Pairs of a lockstep run and a bare run, in turns.
        frames: Frames a run lasts.
        starts: Runs of quickstart whose start is timed.
        progress: Is told what is being done.
    Returns: ``inprocess_slots_per_s``; ``lockstep_slots_per_s``, ``bare_slots_per_s`` and ``lockstep_over_bare``
        (median of the rounds' ratios); ``first_slot_s``; ``agent_uss_mb``; and what tells how much was compared.
    Raises: RuntimeError: a run failed.
    """
    scenario = _scenario("paper-ttosc", seed, frames)
    result: dict[str, float | int | str] = {"rounds": rounds, "slots": scenario.slots, "warm_up_slots": WARM_UP_SLOTS}
    progress("the world in this process")
    result["inprocess_slots_per_s"] = _in_process(_scenario("paper-ttosc", seed, 400), rounds)
    result |= _starts(starts, seed, progress)
    return result | _lockstep(scenario, rounds, progress)


def _scenario(name: str, seed: int, frames: int | None = None) -> Scenario:
    scenario = load(name, ("scheduler.backend=numba",))
    return runs.prepare(runs.with_changes(scenario, seed=seed, frames=frames), on_bus=True)


def _in_process(scenario: Scenario, rounds: int) -> float:
    """Median slots a second of this thread's time, policies included; what is compiled is compiled before."""
    rates = []
    for _ in range(rounds + 1):
        world, start = World(scenario), time.thread_time()
        for _played in rollout.play(scenario, world):
            pass
        rates.append(scenario.slots / (time.thread_time() - start))
    return statistics.median(rates[1:])


def _starts(starts: int, seed: int, progress: Progress) -> dict[str, float | int | str]:
    """How long quickstart takes to its first slot, and what one of its agents weighs."""
    scenario = _scenario("quickstart", seed)
    seen = []
    for k in range(starts):
        progress(f"quickstart's processes, start {k + 1} of {starts}")
        seen.append(_on_bus(scenario))
    weights = [weight for each in seen for weight in each.watched.agent_uss_bytes.values()]
    return {
        "processes": len(seen[0].watched.peers),
        "starts": starts,
        "first_slot_s": statistics.median(each.first_slot_s for each in seen),
        "agent_uss_mb": max(weights) / MB,
    }


def _lockstep(scenario: Scenario, rounds: int, progress: Progress) -> dict[str, float | int | str]:
    """Lockstep and bare in turns."""
    real: list[float] = []
    bare: list[float] = []
    counts: dict[str, float | int | str] = {}
    for k in range(rounds):
        progress(f"round {k + 1} of {rounds}: lockstep")
        found = _on_bus(scenario)
        script = bench_plan.script_of(scenario, found.watched.peers)
        progress(f"round {k + 1} of {rounds}: bare")
        ends = bench_bare.play(list(script.parts.values()))
        real.append(found.slots_per_s)
        bare.append((len(ends) - WARM_UP_SLOTS) / (ends[-1] - ends[WARM_UP_SLOTS - 1]))
        progress(f"round {k + 1} of {rounds}: {real[-1]:.0f} against {bare[-1]:.0f} slots/s, {real[-1] / bare[-1]:.2f}")
        counts = {
            "messages_per_slot": found.messages / scenario.slots,
            "bare_messages_per_slot": script.messages / scenario.slots,
            "wire_bytes_per_slot": found.wire_bytes / scenario.slots,
            "bare_wire_bytes_per_slot": script.wire_bytes / scenario.slots,
        }
    ratios = [a / b for a, b in zip(real, bare, strict=True)]
    return {
        "lockstep_slots_per_s": statistics.median(real),
        "bare_slots_per_s": statistics.median(bare),
        "lockstep_over_bare": statistics.median(ratios),
        "lockstep_over_bare_least": min(ratios),
        "lockstep_over_bare_most": max(ratios),
        **counts,
    }


# -- one run on the bus ------------------------------------------------------------------------------------------------


def _on_bus(scenario: Scenario) -> _Run:
    watched = _Watched()
    launchers: list[Launcher] = []

    def look(status: RunStatus) -> None:
        if status.slot >= 0 and not watched.peers:
            watched.peers = peers_of(launchers[0].address)
            pids = launchers[0].pids()
            watched.agent_uss_bytes = {name: uss_bytes(pid) for name, pid in pids.items() if name.startswith("agent")}

    with tempfile.TemporaryDirectory(prefix="edgerig-bench-") as place:
        result = runs.on_bus(scenario, str(Path(place) / "run"), look, launchers.append)
        if result.code != 0 or not watched.peers:
            raise RuntimeError(f"a run of the bench ended with code {result.code}: {result.summary.get('exit')}")
        wall_s = folder.read_table(result.folder / "timing.csv")["wall_s"][WARM_UP_SLOTS:]
        messages, wire = _slot_traffic(result.folder)
    return _Run(len(wall_s) / sum(wall_s), result.summary["first_slot_s"], messages, wire, watched)


def peers_of(address: str) -> tuple[Peer, ...]:
    """The processes that the registry at an address knows; none, if it does not answer."""
    try:
        with Client(address) as client:
            return client.peers()
    except BusError:
        return ()


def uss_bytes(pid: int) -> int:
    """Memory that a process shares with nobody: what its end would free."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith("Private"))


START_AND_END = ("/hub/graph", "/hub/roster", "/hub/shutdown")


def _slot_traffic(place: Path) -> tuple[int, int]:
    """Messages between processes that slots are made of, and their bytes on the wire."""
    messages = wire = 0
    with (place / "messages.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["class"] in ("data", "clock") and row["topic"] not in START_AND_END and row["wire_bytes"] != "0":
                messages += int(row["messages"])
                wire += int(row["wire_bytes"])
    return messages, wire
