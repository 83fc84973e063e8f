"""The answer of a trial, trial.json, and its frames as a table. docs/trials.md describes both."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.manifest import load as load_manifest
from emulator.folder import write_json
from emulator.specs import is_program, manifest_of
from emulator.trials.conduct import FORMAT, Facts
from emulator.trials.figures import HIGHER_IS_BETTER, UNITS, quantiles
from emulator.trials.rules import Guard, RunFigures, Trial

FRAMES = ("step", "stage", "kind", "seed", "frame", "counted", "run_delay", "twin_delay", "run_reward", "twin_reward")


def document(driver: Facts) -> dict[str, Any]:
    """The answer of a trial that is over."""
    trial, plan = driver.trial, driver.plan
    verdict = trial.verdict
    if verdict is None:
        raise ValueError("a trial without a verdict has no answer yet")
    metric = trial.metric
    return {
        "kind": "trial",
        "format": FORMAT,
        "name": plan.name,
        "description": plan.description,
        "verdict": verdict.word,
        "sentence": sentence(trial),
        "reasons": list(verdict.reasons),
        "mode": driver.mode,
        "scenario": driver.scenario.name,
        "world": driver.scenario.world,
        "edges": trial.edges,
        "baseline": name_of(plan.baseline),
        "candidate": name_of(plan.candidate),
        "seeds": plan.seed_list,
        "warmup_frames": plan.warmup_frames,
        "metric": metric,
        "gain_share_asked": plan.rule.gain_share,
        "figures": {
            name: {"unit": unit, "better": "higher" if name in HIGHER_IS_BETTER else "lower"}
            for name, unit in UNITS.items()
        },
        "error_rates": {
            "sequential": plan.guardrails.alpha,
            "sequential_each": trial.alpha_each,
            "interval": plan.rule.alpha,
        },
        "guardrails": [{"figure": guard.figure, "allowed_share": guard.allowed_share} for guard in trial.guards],
        "rolled_back_at": _rolled_back_at(trial, driver.live),
        "missed": {
            "candidate": sum(result.missed for result in trial.results),
            "elsewhere": sum(result.missed_outside for result in trial.results),
        },
        "decision_s": {
            arm: quantiles([x for result in trial.results for x in result.decision_s.get(arm, [])])
            for arm in ("baseline", "candidate")
        },
        "live": driver.live,
        "stages": [_stage(trial, index) for index in range(len(plan.stage))],
    }


def sentence(trial: Trial) -> str:
    """The verdict for people."""
    verdict = trial.verdict
    if verdict is None:
        return "no verdict yet"
    baseline, candidate = name_of(trial.plan.baseline), name_of(trial.plan.candidate)
    what = {
        "promoted": f"{candidate} is promoted over {baseline}",
        "rolled_back": f"{candidate} is rolled back; {baseline} stays",
        "inconclusive": f"whether {candidate} is better or worse than {baseline} is not known; {baseline} stays",
    }[verdict.word]
    return f"{what}: {verdict.reasons[0]}"


def name_of(spec: str) -> str:
    """How an arm is called: a policy by its SPEC, a program by the name and version of its manifest."""
    if not is_program(spec):
        return spec
    manifest = load_manifest(manifest_of(spec)).manifest
    return f"{manifest.name} {manifest.version}"


def write(folder: Path, driver: Facts) -> dict[str, Any]:
    """Write trial.json and frames.csv into a folder; returns the answer."""
    answer = document(driver)
    with (folder / "frames.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FRAMES)
        writer.writerows(_frames(driver.trial))
    write_json(folder / "trial.json", answer)
    return answer


def _stage(trial: Trial, index: int) -> dict[str, Any]:
    stage = trial.plan.stage[index]
    runs = [result for result in trial.results if result.stage == index]
    played = trial.of_stage(index)
    figures = [name for name in played[0].run if all(name in each.run for each in played)] if played else []
    binding = trial.binding(stage)
    return {
        "kind": stage.kind,
        "edges": [m for m, arm in enumerate(binding) if arm == "candidate"],
        "frames": stage.frames,
        "planned_runs": len(trial.plan.seeds_of(stage)),
        "estimate": stage.kind == "shadow" and trial.estimated_shadows,
        "tested": trial.tested(stage),
        "runs": [_run(result) for result in runs],
        "comparison": {
            figure: found.builtin() for figure in figures if (found := trial.comparison(index, figure)) is not None
        },
        "sequential": [_sequential(trial, index, guard) for guard in trial.guards] if trial.tested(stage) else [],
    }


def _run(result: RunFigures) -> dict[str, Any]:
    return {
        "seed": result.seed,
        "frames": result.frames,
        "run": result.run,
        "twin": result.twin,
        "difference": {name: value - result.twin[name] for name, value in result.run.items()},
        "cells": result.cells,
        "missed": result.missed,
        "missed_elsewhere": result.missed_outside,
        "breach": result.breach,
    }


def _sequential(trial: Trial, index: int, guard: Guard) -> dict[str, Any]:
    looks = trial.looks(index, guard)
    return {
        "figure": guard.figure,
        "allowed_share": guard.allowed_share,
        "alpha": trial.alpha_each,
        "path": [each.builtin() for each in looks],
        "crossed_at": next((each.pairs for each in looks if each.low > 0.0), None),
    }


def _rolled_back_at(trial: Trial, live: dict[str, Any] | None) -> dict[str, Any] | None:
    """Stage, seed, and the frame from which the baseline was bound again; how many frames the candidate had held."""
    if trial.verdict is None or trial.verdict.word != "rolled_back":
        return None
    if live is not None:
        return _back_in_live_run(trial, trial.verdict.by, live)
    last = trial.results[-1]
    held = sum(result.frames for result in trial.results if trial.plan.stage[result.stage].kind != "shadow")
    return {
        "stage": last.stage,
        "kind": trial.plan.stage[last.stage].kind,
        "seed": last.seed,
        "frame": last.back_frame if last.breach else trial.plan.warmup_frames + last.frames,
        "by": trial.verdict.by,
        "candidate_frames": held,
        "runs": len(trial.results),
    }


def _back_in_live_run(trial: Trial, by: str, live: dict[str, Any]) -> dict[str, Any]:
    if "switchback" in live:
        return _back_in_switchback(trial, by, live)
    last = live["stages"][-1]
    kinds = [stage.kind for stage in trial.plan.stage]
    return {
        "stage": kinds.index(last["kind"]),
        "kind": last["kind"],
        "seed": live["seed"],
        "frame": max((swap["rolled_back_frame"] for swap in last["swaps"]), default=-1),
        "by": by,
        "candidate_frames": sum(stage["frames"] for stage in live["stages"]),
        "runs": len(trial.results),
    }


def _back_in_switchback(trial: Trial, by: str, live: dict[str, Any]) -> dict[str, Any]:
    blocks = live["switchback"]
    held = sum(stage["frames"] for stage in live["stages"]) + len(blocks["pairs"]) * blocks["block_frames"]
    return {
        "stage": len(trial.plan.stage),
        "kind": "switchback",
        "seed": live["seed"],
        "frame": blocks["rolled_back_frame"],
        "by": by,
        "candidate_frames": held,
        "runs": 0,
    }


def _frames(trial: Trial) -> Iterator[tuple[object, ...]]:
    step, warm_up = 0, trial.plan.warmup_frames
    for result in trial.results:
        kind, series = trial.plan.stage[result.stage].kind, result.series
        for frame in range(len(series["run_delay"])):
            counted = int(warm_up <= frame < warm_up + result.frames)
            yield (
                step,
                result.stage,
                kind,
                result.seed,
                frame,
                counted,
                *(repr(series[name][frame]) for name in FRAMES[6:]),
            )
            step += 1
