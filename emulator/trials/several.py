"""Several candidates against one baseline: a trial for each, on the same worlds and twins, and which one is best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.folder import write_json
from emulator.trials.figures import HIGHER_IS_BETTER
from emulator.trials.plan import Plan
from monitoring.paired import compared

FILE: Final = "trials.json"
FORMAT: Final = 1
Answer = dict[str, Any]
SAME: Final = (
    "name", "description", "scenario", "world", "mode", "edges", "baseline", "seeds", "metric", "gain_share_asked",
    "figures",
)  # fmt: skip
"""What all trials have in common."""


def folder_of(folder: Path, number: int) -> Path:
    """Where the trial of a candidate is; numbers count from 1."""
    return folder / str(number)


def document(plan: Plan, answers: Sequence[Answer]) -> Answer:
    """The answer over all candidates.

    Args:
        plan: With several candidates.
        answers: The ``trial.json`` of each, in their order.
    """
    words = [answer["verdict"] for answer in answers]
    best, beside = _best(plan, answers)
    verdict = next((word for word in ("promoted", "inconclusive") if word in words), "rolled_back")
    return {
        "kind": "trials",
        "format": FORMAT,
        **{key: answers[0][key] for key in SAME},
        "verdict": verdict,
        "sentence": _sentence(answers, best, beside),
        "error_rates": {"sequential": plan.guardrails.alpha, "interval": plan.rule.alpha, "shared_by": len(answers)},
        "best": None if best is None else best + 1,
        "best_against": beside,
        "candidates": [_candidate(number, answer) for number, answer in enumerate(answers, start=1)],
    }


def write(folder: Path, plan: Plan, answers: Sequence[Answer]) -> Answer:
    """Write trials.json beside the trials' folders; returns it."""
    found = document(plan, answers)
    write_json(folder / FILE, found)
    return found


def _candidate(number: int, answer: Answer) -> Answer:
    played = [stage for stage in answer["stages"] if stage["comparison"]]
    runs = [run for run in played[-1]["runs"] if run["run"]] if played else []
    return {
        "folder": folder_of(Path(), number).name,
        **{key: answer[key] for key in ("candidate", "verdict", "sentence", "rolled_back_at", "missed", "decision_s")},
        "stage": played[-1]["kind"] if played else None,
        "comparison": played[-1]["comparison"] if played else {},
        "differences": [run["difference"][answer["metric"]] for run in runs],
    }


def _best(plan: Plan, answers: Sequence[Answer]) -> tuple[int | None, list[Answer]]:
    """The promoted candidate that gains most, and what is known of its lead over the other promoted ones.

    Source: ours: candidates are paired by seed as each is with its twin; all pairs of candidates share the error rate,
    since the best is chosen after looking.
    """
    metric = answers[0]["metric"]
    worse = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    figures = {k: _by_seed(answer, metric) for k, answer in enumerate(answers) if answer["verdict"] == "promoted"}
    if not figures:
        return None, []
    best = min(figures, key=lambda k: worse * float(np.mean(list(figures[k].values()))))
    level = 1.0 - plan.rule.alpha / (len(answers) * (len(answers) - 1) / 2)
    beside = []
    for k in figures.keys() - {best}:
        seeds = sorted(figures[best].keys() & figures[k].keys())
        mine, other = (np.array([figures[each][seed] for seed in seeds]) for each in (best, k))
        found = compared(mine, other, level)
        beside.append(
            {
                "candidate": answers[k]["candidate"],
                "number": k + 1,
                "level": level,
                **{name: getattr(found, name) for name in ("pairs", "mean", "low", "high", "share")},
                "known": worse * (found.low if worse < 0 else found.high) < 0.0,
            }
        )
    return best, sorted(beside, key=lambda each: int(each["number"]))


def _by_seed(answer: Answer, metric: str) -> dict[int, float]:
    (stage,) = (stage for stage in answer["stages"] if stage["kind"] == "all")
    return {run["seed"]: run["run"][metric] for run in stage["runs"]}


def _sentence(answers: Sequence[Answer], best: int | None, beside: Sequence[Answer]) -> str:
    baseline, total = answers[0]["baseline"], len(answers)
    if best is None:
        back = sum(answer["verdict"] == "rolled_back" for answer in answers)
        return f"none of {total} candidates is promoted over {baseline}, {back} are rolled back; {baseline} stays"
    told = f"{answers[best]['candidate']} is the best of {total} candidates and is promoted over {baseline}"
    open_ = [each["candidate"] for each in beside if not each["known"]]
    if open_:
        return f"{told}; whether it is better than {' and '.join(open_)}, promoted too, is not known"
    return f"{told}; it is better than {' and '.join(each['candidate'] for each in beside)}, too" if beside else told
