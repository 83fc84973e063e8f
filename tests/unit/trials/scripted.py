"""Trials without a world: what each arm's delay is, and in which frame the candidate fails, is said beforehand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from emulator.scenario import Scenario
from emulator.trials import episode
from emulator.trials.episode import Note
from emulator.trials.figures import Arm, FrameSeen, Guardrail, Incident
from emulator.trials.plan import Plan
from emulator.trials.rules import RunFigures, Trial

PLAN: dict[str, Any] = {
    "name": "scripted",
    "scenario": "quickstart",
    "baseline": "popularity",
    "candidate": "greedy",
    "seeds": "1-20",
    "stage": [{"kind": "canary", "edges": [0], "frames": 4, "runs": 6}, {"kind": "all", "frames": 5}],
}


def plan_of(**changes: Any) -> Plan:
    return msgspec.convert({**PLAN, **changes}, Plan)


@dataclass
class Scripted:
    """Four cells; with the candidate at a share of them the delay moves by that share of ``effect_s``."""

    seed: int
    effect_s: float
    noise_s: float = 0.0
    fails_in: int = -1
    guardrail: Guardrail = "crash"
    bound: list[Arm] = field(default_factory=lambda: ["baseline"] * 4)
    at: int = 0
    history: list[list[Arm]] = field(default_factory=list)
    after: Callable[[], None] = lambda: None

    def bind(self, arms: Sequence[Arm]) -> None:
        self.bound = list(arms)

    def frame(self, asked: Sequence[int] = ()) -> FrameSeen:
        self.after()
        frame, self.at = self.at, self.at + 1
        self.history.append(list(self.bound))
        share = self.bound.count("candidate") / 4
        delay_s = float(2.0 + np.sin(self.seed) + share * (self.effect_s + self.noise_s * np.cos(7 * self.seed)))
        incidents = []
        if frame == self.fails_in and ("candidate" in self.bound or asked):
            edge = self.bound.index("candidate") if "candidate" in self.bound else asked[0]
            incidents.append(Incident(self.guardrail, edge, frame, "candidate", "as told", covered=bool(asked)))
        return FrameSeen(
            frame, (10.0,) * 4, (10.0 * delay_s,) * 4, -delay_s, 0.0, tuple(incidents), {"baseline": [0.01]}
        )


@dataclass
class ScriptedDriver:
    """Worlds of a trial by what is said of the candidate."""

    plan: Plan
    effect_s: float = 0.0
    noise_s: float = 0.0
    fails_in: int = -1
    guardrail: Guardrail = "crash"
    mode: str = "in-process"
    live: dict[str, Any] | None = None
    scenario: Scenario = field(default_factory=lambda: Scenario(name="scripted"))
    made: list[Scripted] = field(default_factory=list)
    after: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.trial = Trial(self.plan, 4)

    def play(self, index: int, seed: int, note: Note) -> RunFigures:
        run = Scripted(seed, self.effect_s, self.noise_s, self.fails_in, self.guardrail, after=self.after)
        self.made.append(run)
        binding = self.trial.binding(self.plan.stage[index])
        return episode.play(self.plan, index, seed, binding, (run, Scripted(seed, 0.0)), note)
