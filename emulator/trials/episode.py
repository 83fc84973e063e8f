"""One run of a stage beside its twin: same seed, same arrivals, same faults; bound, watched, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from emulator.trials.figures import Arm, FrameSeen, Incident, totals
from emulator.trials.plan import Plan
from emulator.trials.rules import RunFigures
from emulator.trials.worlds import Track

Note = Callable[[dict[str, Any]], None]
"""Writes a line to the journal, before what it says is done."""


def play(
    plan: Plan, index: int, seed: int, binding: Sequence[Arm], tracks: tuple[Track, Track], note: Note
) -> RunFigures:
    """Play one run of a stage and its twin.

    Args:
        plan: The trial.
        index: Of the stage.
        seed: Of the run.
        binding: Who is bound where once the warm-up is over.
        tracks: The run, and the twin with the baseline everywhere. In a shadow stage the first is the shadows' world.
        note: Told every binding before it holds.
    """
    run, twin = tracks
    stage = plan.stage[index]
    everywhere: list[Arm] = ["baseline"] * len(binding)
    candidates = [m for m, arm in enumerate(binding) if arm == "candidate"]
    seen: list[tuple[FrameSeen, FrameSeen]] = []
    bound, breach, counted = everywhere, None, 0
    note(binding_note(index, seed, 0, bound))
    for frame in range(plan.warmup_frames + stage.frames):
        warming = frame < plan.warmup_frames
        wanted = everywhere if warming or breach is not None else list(binding)
        if wanted != bound:
            note(binding_note(index, seed, frame, wanted))
            run.bind(wanted)
            bound = wanted
        seen.append((run.frame(candidates if warming else ()), twin.frame()))
        counted += not warming and bound is not everywhere
        if breach is None:
            breach = next((each for each in seen[-1][0].incidents if each.arm == "candidate"), None)
        if breach is not None and warming:
            break  # nothing was ever bound, so there is nothing to go back from
    return summed(index, seed, binding, seen, seen[plan.warmup_frames :][:counted], breach)


def binding_note(stage: int, seed: int, frame: int, arms: Sequence[Arm]) -> dict[str, Any]:
    """A binding as the journal has it."""
    candidates = [m for m, arm in enumerate(arms) if arm == "candidate"]
    return {"event": "bind", "stage": stage, "seed": seed, "frame": frame, "candidates": candidates}


def summed(
    stage: int,
    seed: int,
    binding: Sequence[Arm],
    seen: Sequence[tuple[FrameSeen, FrameSeen]],
    counted: Sequence[tuple[FrameSeen, FrameSeen]],
    breach: Incident | None,
) -> RunFigures:
    """What a run and its twin came to.

    Args:
        stage: Index of the stage.
        seed: Of both.
        binding: Who was bound where.
        seen: All frames of both.
        counted: Those with the candidate bound.
        breach: The hard guardrail that it broke first.
    """
    run, twin = [pair[0] for pair in counted], [pair[1] for pair in counted]
    missed = [each for frame, _ in seen for each in frame.incidents if not each.covered]
    took: dict[str, list[float]] = {}
    for frame, _ in seen:
        for arm, seconds in frame.decision_s.items():
            took.setdefault(arm, []).extend(seconds)
    return RunFigures(
        stage,
        seed,
        len(counted),
        totals(run) if run else {},
        totals(twin) if run else {},
        _by_cells(binding, run, twin) if run else {},
        sum(each.arm == "candidate" for each in missed),
        sum(each.arm == "baseline" for each in missed),
        None if breach is None else msgspec.to_builtins(breach),
        -1 if breach is None else breach.frame + 1,
        {
            "run_delay": [frame.delay_s for frame, _ in seen],
            "twin_delay": [frame.delay_s for _, frame in seen],
            "run_reward": [frame.reward for frame, _ in seen],
            "twin_reward": [frame.reward for _, frame in seen],
        },
        took,
    )


def _by_cells(
    binding: Sequence[Arm], run: Sequence[FrameSeen], twin: Sequence[FrameSeen]
) -> dict[str, dict[str, float]]:
    """The delay of tasks from cells with the candidate, and from the others: harm beyond the canary must not hide."""
    groups = {
        "candidate": [m for m, arm in enumerate(binding) if arm == "candidate"],
        "others": [m for m, arm in enumerate(binding) if arm == "baseline"],
    }
    return {
        name: {"run": totals(run, cells)["delay"], "twin": totals(twin, cells)["delay"]}
        for name, cells in groups.items()
        if cells and run[0].completed
    }
