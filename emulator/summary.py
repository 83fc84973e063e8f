"""summary.json: what a run came to, however it ended."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator import identities, overhead
from emulator.errors import RunFolderError
from emulator.folder import read_table, write_json
from emulator.scenario import Scenario

Floats = NDArray[np.float64]
UNKNOWN: dict[str, Any] = {
    "digest": None,
    "late": None,
    "late_slots": None,
    "refused": None,
    "notes": ["the hub ended before it could write its books; this is read from the tables"],
}
"""What only the hub could have told."""

PACKAGES = ("edgerig", "numpy", "pyzmq", "msgspec", "numba")


def versions() -> dict[str, str]:
    """Versions that may change the last bits of a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write(
    folder: Path,
    scenario: Scenario,
    mode: str,
    wall_s: float,
    code: int,
    first_slot_s: float | None,
    notes: Sequence[str] = (),
    reason: str = "",
    recording: dict[str, Any] | None = None,
    learning: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather what the run folder holds into summary.json.

    Args:
        folder: The run folder.
        scenario: The resolved scenario.
        mode: How it was run: in-process, lockstep or wall.
        wall_s: Seconds the run took, start and end included.
        code: Its exit code.
        first_slot_s: Seconds until the first slot began; None if unknown.
        notes: What the launcher has to say, after the hub's notes.
        reason: Why the run ended, where the hub could not write it down.
        recording: What became of the bag; None if none was asked for.
        learning: How far agents came that learn while they act; None if there are none.
    Returns: What was written; where it could not be, a note says so and the exit code is not 0.
    """
    ledger = _ledger(folder)
    ledger["notes"] = [*ledger["notes"], *notes]
    ledger.setdefault("exit", {"code": code, "reason": reason})
    messages, sizes = overhead.read(folder / "messages.csv", ledger["slots"], ledger["frames"])
    decisions = np.array(ledger.pop("decision_s", []) or [0.0])
    document = {
        **_heading(scenario, mode, wall_s, code),
        **_world(scenario),
        "first_slot_s": first_slot_s,
        "target_delay_s": scenario.target_delay_s,
        **ledger,
        "messages": messages,
        "bytes": sizes,
        "decision_s": _spread(decisions),
    }
    orchestration = orchestration_of(ledger.get("counters", {}), scenario.edges.count)
    if orchestration:
        document["orchestration"] = orchestration
    if recording is not None:
        document["recording"] = recording
    if learning is not None:
        document["learning"] = learning
    return _written(folder, document)


def _heading(scenario: Scenario, mode: str, wall_s: float, code: int) -> dict[str, Any]:
    return {
        "scenario": scenario.name,
        "mode": mode,
        "seed": scenario.seed,
        "world_seed": scenario.world_seed,
        "agent": scenario.agent.policy,
        "agents": identities.agents_of(scenario),
        "exit_code": code,
        "interrupted": code == 130,
        "versions": versions(),
        "host": identities.host(),
        "wall_s": wall_s,
    }


def _world(scenario: Scenario) -> dict[str, Any]:
    """What of the world decides on its numbers."""
    if scenario.rental is not None:
        return {"world": "rental", "spec": scenario.rental.spec, "zero_delay_bug": scenario.rental.zero_delay_bug}
    scheduler = scenario.scheduler
    return {"scheduler": f"{scheduler.kind}@{scheduler.at} ({scheduler.backend})", "tasks_mode": scenario.tasks}


def orchestration_of(counters: Mapping[str, float], edges: int) -> dict[str, float]:
    """What agents with local Q-networks came to, by their counters; empty where there are none.

    ``objective`` is P2's, mean over slots; where agents negotiate, ``rounds`` are those of a decision, ``disagreement``
    is that of the last letters, mean over agents and slots, and ``letters_absent`` those that did not come.
    Source: N2O problem P2, its objective at what was rented.
    """
    found: dict[str, float] = {}
    values, negotiations = counters.get("local_values", 0.0), counters.get("negotiations", 0.0)
    if values:
        found["objective"] = edges * (counters["local_value_gained"] - counters["local_value_lost"]) / values
    if negotiations:
        found["rounds"] = counters["negotiation_rounds"] / negotiations
        found["disagreement"] = counters["negotiation_disagreements"] / negotiations
        found["letters_absent"] = counters["letters_absent"]
    return found


def _spread(seconds: Floats) -> dict[str, float]:
    spread = {f"p{share}": float(np.quantile(seconds, share / 100.0)) for share in (50, 95, 99)}
    return {**spread, "max": float(seconds.max())}


def _written(folder: Path, document: dict[str, Any]) -> dict[str, Any]:
    try:
        write_json(folder / "summary.json", document)
    except RunFolderError as error:
        document["exit_code"] = document["exit_code"] or 2
        document["notes"].append(str(error))
    return document


def _ledger(folder: Path) -> dict[str, Any]:
    """What the hub said at its end; without it, what the tables still tell."""
    path = folder / "ledger.json"
    if path.exists():
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        with contextlib.suppress(OSError):
            path.unlink()
        return facts
    slots = read_table(folder / "slots.csv") if (folder / "slots.csv").exists() else {}
    if "hour" in slots:
        return _rental_tables(slots)
    frames = read_table(folder / "frames.csv") if (folder / "frames.csv").exists() else {}
    tasks = np.array(slots.get("tasks", []))
    done = tasks - np.array(slots.get("dropped", []))
    rewards = frames.get("reward_s", [])

    def mean(name: str) -> float:
        return float(np.average(slots[name], weights=done)) if done.sum() > 0 else 0.0

    return {
        "slots": len(tasks),
        "frames": len(rewards),
        "delay_s": {"mean": mean("delay_s"), "p50": None, "p95": None},
        "all_cloud_delay_s": mean("all_cloud_delay_s"),
        "reward": {"mean": float(np.mean(rewards)) if rewards else 0.0, "total": sum(rewards)},
        "tasks": {name: sum(slots.get(name, [])) for name in ("local", "peer", "cloud", "dropped")},
        **UNKNOWN,
    }


def _rental_tables(slots: dict[str, list[float]]) -> dict[str, Any]:
    """The same of the rental world."""
    count, rewards = len(slots["slot"]), slots["reward"]
    tasks = sum(slots["tasks"])
    waited_s = sum(delay_s * count for delay_s, count in zip(slots["delay_s"], slots["tasks"], strict=True))
    return {
        "slots": count,
        "frames": count,
        "delay_s": {"mean": waited_s / tasks if tasks else 0.0},
        "reward": {"mean": sum(rewards) / max(count, 1), "total": sum(rewards)},
        "tasks": {"edge": tasks, "cloud": sum(slots["cloud"]), "dropped": sum(slots["dropped"])},
        **UNKNOWN,
    }
