"""The course of a trial: which run comes next, what guardrails say of it, and the verdict. Pure: no clock, no file.

Every run of every stage has a seed of its own and a twin with the same one; their difference is one replicate. Runs of
one seed in two stages are the same demand, so stages never add to each other's evidence: each has a test of its own,
and they share the error rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np

from emulator.errors import ScenarioError
from emulator.trials.figures import Arm, gain, harm
from emulator.trials.plan import Plan, Stage
from monitoring.paired import Comparison, compared
from monitoring.sequential import Look, look

Word = Literal["promoted", "rolled_back", "inconclusive"]
WORLD_METRIC: Final = {"offloading": "delay", "rental": "reward"}


class RunFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one run of a stage came to; a line of the journal.

    Attributes:
        stage: Index of the stage.
        seed: Of the run and its twin.
        frames: How many count: those with the candidate bound, or shadowing.
        run, twin: Figures of both, by name; empty where no frame counts.
        cells: Delay of the tasks of some cells, run and twin: ``candidate`` (cells with it) and ``others``.
        missed: Decisions that were missed where the candidate was bound.
        missed_outside: The same elsewhere.
        breach: The hard guardrail that the candidate broke first: guardrail, edge, frame, text.
        back_frame: From which on the baseline was bound again; -1: it was not.
        series: Figures by frame, the warm-up included.
        decision_s: How long decisions took, by arm.
    """

    stage: int
    seed: int
    frames: int
    run: dict[str, float]
    twin: dict[str, float]
    cells: dict[str, dict[str, float]] = {}
    missed: int = 0
    missed_outside: int = 0
    breach: dict[str, Any] | None = None
    back_frame: int = -1
    series: dict[str, list[float]] = {}
    decision_s: dict[str, list[float]] = {}


class Guard(NamedTuple):
    """A statistical guardrail: a figure, and the share of the twin's by which it may be worse."""

    figure: str
    allowed_share: float


@dataclass(frozen=True)
class Verdict:
    """How a trial ended, why (the first reason decided), and by what: a guardrail, a test or the last interval."""

    word: Word
    reasons: tuple[str, ...]
    by: Literal["crash", "infeasible", "late", "sequential", "interval"]


@dataclass
class Trial:
    """A trial as far as it has come."""

    plan: Plan
    edges: int
    world: str = "offloading"
    estimated_shadows: bool = False
    """Whether a shadow's score is a model estimate, which no test may rest on."""

    results: list[RunFigures] = field(default_factory=list)
    verdict: Verdict | None = None

    @property
    def metric(self) -> str:
        """The figure that the verdict rests on."""
        return self.plan.rule.metric or WORLD_METRIC[self.world]

    @property
    def guards(self) -> list[Guard]:
        """The statistical guardrails; that of the metric where the plan names none."""
        if self.plan.switchback is not None:
            return []  # they rest on a twin
        given = self.plan.guardrails
        named = [
            ("delay", given.delay_worse_share),
            ("reward", given.reward_worse_share),
            ("message_bytes", given.message_bytes_more_share),
            ("memory", given.memory_more_share),
        ]
        chosen = [Guard(figure, allowed) for figure, allowed in named if allowed is not None]
        return chosen or [Guard(self.metric, 0.0)]

    @property
    def alpha_each(self) -> float:
        """Error rate of one guardrail in one stage (Bonferroni)."""
        return self.plan.guardrails.alpha / max(1, len(self.guards) * sum(map(self.tested, self.plan.stage)))

    def tested(self, stage: Stage) -> bool:
        """Whether differences of a stage are evidence."""
        return not (stage.kind == "shadow" and self.estimated_shadows)

    def binding(self, stage: Stage) -> list[Arm]:
        """Who is bound where in a stage; in a shadow stage, whose decisions the shadows' world takes.

        Raises: ScenarioError: the stage names an edge server that there is not, or a share of none or of all.
        """
        if stage.kind != "canary":
            return ["candidate"] * self.edges
        chosen = set(stage.edges) or set(range(round(stage.share * self.edges)))
        if not chosen or max(chosen) >= self.edges or len(chosen) == self.edges:
            what = f"edges {sorted(stage.edges)}" if stage.edges else f"share {stage.share:g}"
            raise ScenarioError(
                f"{self.plan.name}: stage canary: {what} must be some of the edge servers 0..{self.edges - 1}, not all"
            )
        return ["candidate" if m in chosen else "baseline" for m in range(self.edges)]

    def next_run(self) -> tuple[int, int] | None:
        """Stage and seed of the run that comes next; None when the trial is over."""
        if self.verdict is not None:
            return None
        done = {(result.stage, result.seed) for result in self.results}
        for index, stage in enumerate(self.plan.stage):
            for seed in self.plan.seeds_of(stage):
                if (index, seed) not in done:
                    return index, seed
        return None

    def runs_planned(self) -> int:
        """How many runs there are if nothing ends the trial."""
        return sum(len(self.plan.seeds_of(stage)) for stage in self.plan.stage)

    def take(self, result: RunFigures) -> None:
        """Take in a run that is over, and give the verdict if it can be given."""
        self.results.append(result)
        self.verdict = self._broken(result) or self._crossed(result.stage)
        if self.verdict is None and self.next_run() is None:
            self.verdict = self._decided()

    def of_stage(self, index: int) -> list[RunFigures]:
        """Runs of a stage that have figures, in order."""
        return [result for result in self.results if result.stage == index and result.run]

    def looks(self, index: int, guard: Guard) -> list[Look]:
        """The test's path of one guardrail in one stage: evidence that the candidate is worse than allowed."""
        harms = [
            harm(guard.figure, r.run[guard.figure], r.twin[guard.figure], guard.allowed_share)
            for r in self.of_stage(index)
        ]
        return [look(harms[: count + 1], self.alpha_each) for count in range(len(harms))]

    def comparison(self, index: int, figure: str) -> Comparison | None:
        """A figure of a stage, run against twin over its seeds; None with fewer than two."""
        arms = self._arms(index, figure)
        return compared(*arms) if len(arms[0]) > 1 else None

    def _arms(self, index: int, figure: str) -> tuple[Any, Any]:
        runs = self.of_stage(index)
        return np.array([r.run[figure] for r in runs]), np.array([r.twin[figure] for r in runs])

    def _broken(self, result: RunFigures) -> Verdict | None:
        if result.breach is None:
            return None
        stage, breach = self.plan.stage[result.stage], result.breach
        text = (
            f"{breach['guardrail']} at edge server {breach['edge']} in frame {breach['frame']} of seed {result.seed} "
            f"(stage {stage.kind}): {breach['text']}"
        )
        return Verdict("rolled_back", (text,), breach["guardrail"])

    def _crossed(self, index: int) -> Verdict | None:
        stage = self.plan.stage[index]
        if not self.tested(stage):
            return None
        for guard in self.guards:
            latest = self.looks(index, guard)[-1:]
            if latest and latest[0].low > 0.0:
                return Verdict("rolled_back", (self._known(stage, guard, latest[0]),), "sequential")
        return None

    def _known(self, stage: Stage, guard: Guard, found: Look) -> str:
        beyond = f" by more than {guard.allowed_share:.3g} of it" if guard.allowed_share else ""
        return (
            f"{guard.figure} is worse than the twin's{beyond} after {found.pairs} runs of stage {stage.kind}: "
            f"always-valid {100 * (1 - self.alpha_each):.4g} % interval of the harm {found.low:.4g} to "
            f"{found.high:.4g}, e-value {found.e_value:.3g}"
        )

    def _decided(self) -> Verdict:
        """By the gain's interval over the pairs of the stage in which the candidate is everywhere."""
        index = next(k for k, stage in enumerate(self.plan.stage) if stage.kind == "all")
        run, twin = self._arms(index, self.metric)
        asked = self.plan.rule.gain_share
        gains = np.array([gain(self.metric, *pair) for pair in zip(run, twin, strict=True)])
        nothing = np.zeros_like(gains)
        level = 1.0 - self.plan.rule.alpha
        beyond, won = (compared(gained, nothing, level) for gained in (gains - asked * np.abs(twin), gains))
        harmful = won.high < 0.0 and beyond.high < 0.0
        word: Word = "promoted" if beyond.low > 0.0 else "rolled_back" if harmful else "inconclusive"
        share = 100.0 * won.mean / (abs(float(twin.mean())) or 1.0)
        text = (
            f"gain in {self.metric} over {won.pairs} seeds {won.mean:.4g}, "
            f"{100 * level:.4g} % interval {won.low:.4g} to {won.high:.4g} "
            f"({share:.2f} % of the baseline; asked for: more than {100 * asked:g} %)"
        )
        return Verdict(word, (text,), "interval")
