"""Runs put into arms by who decides, and into pairs by seed; what may not be paired is refused or left out by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monitoring import rental_report, report, runs
from monitoring.report import DECIDERS, differences
from monitoring.runs import ReportError, Run

RENTAL: Final = "rental"
SAME: Final = ("world", "name", "world_seed", "slots_per_frame", "frames")
"""Settings without which two runs are of different worlds."""

WORDS: Final = {"name": "scenario"}
HOW_IT_RAN: Final = ("processes.", "deadlines.", "restart.", "clock", "rate")
"""Settings that change no number of a run in lockstep."""


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their seeds only.

    Attributes:
        runs: By seed, in the order of the seeds.
    """

    name: str
    runs: dict[int, Run]


@dataclass(frozen=True)
class Paired:
    """Arms, the first being the baseline.

    Attributes:
        seeds: Of each arm's name, those that are paired with the baseline.
        equal: Settings that all runs share, of those without which there is no comparison; ``differing`` the others
            that differ besides who decides.
        notes: Sentences, what was left out and why.
    """

    world: str
    arms: tuple[Arm, ...]
    seeds: dict[str, list[int]]
    equal: dict[str, Any]
    differing: list[str]
    notes: list[str]


def pair(folders: Sequence[Path]) -> Paired:
    """Read runs and pair them.

    Raises: ReportError: one is no run folder, or they cannot be compared; says what differs and what is equal.
    """
    found = [runs.read(Path(folder)) for folder in folders]
    if len(found) < 2:
        raise ReportError("one run has nothing to be compared with; give two or more, or use `edgerig report`")
    first = found[0]
    for run in found[1:]:
        _must_be_alike(first, run)
    world = str(_setting(first, "world"))
    arms = tuple(_arms(found))
    notes: list[str] = []
    seeds = {arm.name: list(_seeds(arm, arms[0], world, notes)) for arm in arms[1:]}
    if not any(seeds.values()):
        why = f" ({notes[0]})" if notes else ""
        raise ReportError(f"{arms[0].name} shares no seed with another arm, so nothing can be paired{why}")
    notes += _clocks(found)
    equal = {WORDS.get(key, key): _setting(first, key) for key in SAME} | {"slots": _slots(first)}
    notes += [f"{run.folder.name}: {trouble}." for run in found for trouble in run.trouble if _matters(run, trouble)]
    return Paired(world, arms, seeds, equal, _differing(found), notes)


def _clocks(found: Sequence[Run]) -> list[str]:
    """A note where some runs had the wall clock, which is part of their numbers, and others had none."""
    wall = [run.folder.name for run in found if run.summary.get("mode") == "wall"]
    if not wall or len(wall) == len(found):
        return []
    return [f"On the wall clock, others not, which is part of the difference: {', '.join(wall)}."]


def _must_be_alike(first: Run, run: Run) -> None:
    equal = [
        f"{WORDS.get(key, key)} {_setting(run, key)}" for key in SAME if _setting(run, key) == _setting(first, key)
    ]
    for key in SAME:
        mine, its = _setting(run, key), _setting(first, key)
        if mine != its:
            what = WORDS.get(key, key)
            raise ReportError(
                f"{run.folder}: {what} is {mine}, not {its} as in {first.folder}: they cannot be compared "
                f"(equal: {', '.join(equal) or 'nothing'})"
            )
    if _slots(run) != _slots(first):
        raise ReportError(
            f"{run.folder}: {_slots(run)} slots, not {_slots(first)} as in {first.folder}: they cannot be compared "
            f"(equal: {', '.join(equal)}); play the shorter one to its end"
        )


def _setting(run: Run, key: str) -> object:
    fallback = {"name": "scenario"}.get(key, key)
    return run.setting(key, run.summary.get(fallback, "offloading" if key == "world" else None))


def _slots(run: Run) -> int:
    return len(run.slots.get("slot", ()))


def _matters(run: Run, trouble: str) -> bool:
    return not (_setting(run, "world") == RENTAL and trouble.startswith("frames.csv"))


def _arms(found: Sequence[Run]) -> Iterator[Arm]:
    """By label; a second run of a label and a seed begins an arm of its own, so that A may be compared with A."""
    arms: dict[str, dict[int, Run]] = {}
    one_scheduler = len({str(run.setting("scheduler.kind")) for run in found}) == 1
    for run in found:
        label = str(run.setting("agent.policy", run.label)) if one_scheduler else run.label
        seed, name, again = _seed(run), label, 1
        while seed in arms.get(name, {}):
            again += 1
            name = f"{label} ({again})"
        arms.setdefault(name, {})[seed] = run
    for name, by_seed in arms.items():
        yield Arm(name, dict(sorted(by_seed.items())))


def _seed(run: Run) -> int:
    seed = run.setting("seed", run.summary.get("seed"))
    if not isinstance(seed, int):
        raise ReportError(f"{run.folder}: neither its scenario.toml nor its summary.json says which seed it is")
    return seed


def _seeds(arm: Arm, baseline: Arm, world: str, notes: list[str]) -> Iterator[int]:
    """Seeds of an arm that are paired with the baseline's; the others are named."""
    unpaired = rental_report.unpaired if world == RENTAL else report.unpaired
    alone = sorted(arm.runs.keys() ^ baseline.runs.keys())
    if alone:
        notes.append(f"{arm.name}: left out, for only one arm has them: {_listed(alone)}.")
    for seed in arm.runs.keys() & baseline.runs.keys():
        why = unpaired(arm.runs[seed], baseline.runs[seed])
        if why:
            notes.append(f"{arm.name}, seed {seed}: left out, {why}.")
        else:
            yield seed


def _listed(seeds: Sequence[int]) -> str:
    said = ", ".join(map(str, seeds[:8])) + (f" and {len(seeds) - 8} more" if len(seeds) > 8 else "")
    return f"seed{'s' if len(seeds) > 1 else ''} {said}"


def _differing(found: Sequence[Run]) -> list[str]:
    """Settings that differ besides seeds, who decides, and how the run was run."""
    keys = {
        key
        for run in found[1:]
        for key, *_ in differences(run.scenario, found[0].scenario)
        if key not in DECIDERS and key != "seed" and not key.startswith(("agent.", *HOW_IT_RAN))
    }
    return sorted(keys)
