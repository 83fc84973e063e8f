"""How often trials are wrong: A-A trials, in which nothing differs but the seeds, a planted difference, an example.

Two arms of one policy on disjoint seeds differ by chance alone. The fixed-size t test should call that a difference in
5 % of trials, the always-valid test, though it looks after every run, in 5 % at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from emulator.assembly import resolve
from emulator.scenario import Scenario
from emulator.scenario_file import load
from emulator.trials.figures import totals
from emulator.trials.in_process import InProcess
from emulator.trials.plan import Plan, Stage
from emulator.trials.plan import load as load_plan
from emulator.trials.rules import RunFigures, Trial
from emulator.trials.worlds import OffloadingTrack

Tell = Callable[[str], None]
SMALL: Final = ("edges.count=2", "services.count=5", "slots_per_frame=1")
EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "trials"
PLANTED: Final = f"exec:{EXAMPLES / 'agents' / 'sparing.toml'}"
SUBTLE: Final = EXAMPLES / "subtly-worse-candidate.toml"
PATIENT_S: Final = 60.0
"""What a decision may take: a busy machine is not what is measured."""

FAR: Final = 100_000
"""Seeds of the example's trials are beyond those of the others."""

LINE_EVERY_S: Final = 5.0


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Attributes:
        seed: The first of all seeds that are used.
        trials: A-A trials.
        seeds: Of each arm in them.
        frames: Of each run in them.
        planted: Trials with a planted difference.
        planted_seeds: Most seeds that one of them may take.
        planted_frames: Of each run in them.
        subtle: Trials of examples/trials/subtly-worse-candidate.toml, each with seeds of its own.
    """

    seed: int = 1
    trials: int = 1000
    seeds: int = 20
    frames: int = 5
    planted: int = 40
    planted_seeds: int = 30
    planted_frames: int = 100
    subtle: int = 40


QUICK: Final = Options(trials=200, planted=20, subtle=10)


class Clock:
    """A line on stderr now and then, with what is left."""

    def __init__(self, tell: Tell, what: str, count: int) -> None:
        self._tell, self._what, self._count = tell, what, count
        self._began_s = self._said_s = time.monotonic()

    def done(self, number: int) -> None:
        """So many are done."""
        now_s = time.monotonic()
        if now_s - self._said_s >= LINE_EVERY_S:
            self._said_s = now_s
            left_s = (now_s - self._began_s) / number * (self._count - number)
            self._tell(f"{self._what}: {number} of {self._count}, ETA {left_s:.0f} s")


def run(options: Options, tell: Tell = lambda _text: None) -> dict[str, Any]:
    """Measure the error rates of trials, and what they find."""
    return {**a_a(options, tell), **planted(options, tell), **subtle(options, tell)}


def a_a(options: Options, tell: Tell) -> dict[str, Any]:
    """Trials of a policy against itself on disjoint seeds: how often each test calls chance a difference."""
    scenario = resolve(load("quickstart", SMALL))
    clock = Clock(tell, "A-A trials", options.trials)
    fixed = either = worse = 0
    seed = options.seed
    for number in range(options.trials):
        trial = Trial(plan_of(options.seeds, options.frames), scenario.edges.count)
        for pair in range(options.seeds):
            run_s, twin_s = (delay_s(scenario, "popularity", seed + k, options.frames) for k in (0, 1))
            trial.results.append(RunFigures(0, pair, options.frames, {"delay": run_s}, {"delay": twin_s}))
            seed += 2
        found = trial.comparison(0, "delay")
        looks = trial.looks(0, trial.guards[0])
        fixed += found is not None and found.p_value < 0.05
        either += any(each.low > 0.0 or each.high < 0.0 for each in looks)
        worse += any(each.low > 0.0 for each in looks)
        clock.done(number + 1)
    return {
        "a_a_trials": options.trials,
        "a_a_runs": 2 * options.trials * options.seeds,
        "fixed_sample_rejects": fixed / options.trials,
        "fixed_sample_from_5": abs(fixed / options.trials - 0.05),
        "sequential_rejects": either / options.trials,
        "sequential_rolls_back": worse / options.trials,
    }


def planted(options: Options, tell: Tell) -> dict[str, Any]:
    """Trials of a policy that is about 5 % worse, paired as trials are: how many find it, and how soon."""
    scenario = resolve(load("quickstart"))
    clock = Clock(tell, "planted difference", options.planted)
    took: list[int] = []
    shares: list[float] = []
    seed = options.seed
    for number in range(options.planted):
        trial = Trial(plan_of(options.planted_seeds, options.planted_frames), scenario.edges.count)
        while (order := trial.next_run()) is not None:
            run_s, twin_s = (delay_s(scenario, arm, seed, options.planted_frames) for arm in (PLANTED, "popularity"))
            trial.take(RunFigures(0, order[1], options.planted_frames, {"delay": run_s}, {"delay": twin_s}))
            shares.append(run_s / twin_s - 1.0)
            seed += 1
        if trial.verdict is not None and trial.verdict.by == "sequential":
            took.append(len(trial.results))
        clock.done(number + 1)
    return {
        "planted_trials": options.planted,
        "planted_share": sum(shares) / len(shares),
        "planted_found": len(took) / options.planted,
        "planted_seeds_mean": sum(took) / max(len(took), 1),
        "planted_seeds_most": max(took, default=0),
    }


def subtle(options: Options, tell: Tell) -> dict[str, Any]:
    """The trial of a candidate that is a little worse, from its first stage on: how many roll it back, how soon."""
    plan = load_plan(SUBTLE)
    clock = Clock(tell, "subtly worse candidate", options.subtle)
    count = len(plan.seed_list)
    took: list[int] = []
    for number in range(options.subtle):
        first = options.seed + FAR + number * count
        seeds = f"{first}-{first + count - 1}"
        patient = msgspec.structs.replace(plan.guardrails, decision_budget_s=PATIENT_S)
        driver = InProcess(msgspec.structs.replace(plan, seeds=seeds, guardrails=patient))
        trial = driver.trial
        while (order := trial.next_run()) is not None:
            trial.take(driver.play(*order, lambda _line: None))
        if trial.verdict is not None and trial.verdict.by == "sequential":
            took.append(sum(each.frames for each in trial.results))
        clock.done(number + 1)
    return {
        "subtle_trials": options.subtle,
        "subtle_rolled_back": len(took) / options.subtle,
        "subtle_frames_mean": sum(took) / max(len(took), 1),
        "subtle_frames_most": max(took, default=0),
    }


def plan_of(seeds: int, frames: int) -> Plan:
    """A trial of one stage, so that its test has all of alpha."""
    return Plan(
        name="calibration",
        scenario="quickstart",
        baseline="popularity",
        candidate="popularity",
        seeds=f"0-{seeds - 1}",
        stage=(Stage(kind="all", frames=frames),),
    )


def delay_s(scenario: Scenario, policy: str, seed: int, frames: int, warmup_frames: int = 2) -> float:
    """Mean delay of a run with one policy everywhere, seconds per task, after its warm-up."""
    track = OffloadingTrack(msgspec.structs.replace(scenario, seed=seed), {"baseline": policy}, PATIENT_S)
    return totals([track.frame() for _ in range(warmup_frames + frames)][warmup_frames:])["delay"]
