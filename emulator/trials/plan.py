"""What a trial is to do: the tables of a TRIAL.toml, and what they contradict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from emulator.errors import ScenarioError
from emulator.scenario import Scenario
from emulator.scenario_file import parse_table, shipped_names
from emulator.scenario_tables import Natural, NotNegative, Positive, Table
from emulator.specs import with_whole_paths

FEWEST_SEEDS: Final = 20
"""Pairs that a verdict needs: with fewer a skewed figure spoils the t interval."""

FEWEST_PAIRS: Final = 20
"""Pairs of blocks that a switchback needs: they are its replicates."""

MOST_SEEDS: Final = 100_000
SEEDS: Final = r"^\d+(-\d+)?(,\d+(-\d+)?)*$"
Metric = Literal["delay", "reward"]


class Stage(Table, frozen=True, kw_only=True):
    """A stage: who decides where, and for how long; every seed is a run of its own."""

    kind: Annotated[
        Literal["shadow", "canary", "all"],
        Meta(description="shadow: decides, is scored, never obeyed; canary: obeyed by some edge servers; all: by all"),
    ]
    frames: Annotated[int, Meta(ge=1, description="of each run, in which the candidate is bound (or shadows)")]
    runs: Annotated[int, Meta(ge=0, description="how many of the seeds, the first ones; 0: all")] = 0
    edges: Annotated[tuple[Natural, ...], Meta(description="canary: at these edge servers")] = ()
    share: Annotated[float, Meta(ge=0, le=1, description="canary: at so many of the edge servers, the first ones")] = (
        0.0
    )


class Guardrails(Table, frozen=True, kw_only=True):
    """What ends a trial at once, and what ends it once it is known; shares are of the twin's figure."""

    decision_budget_s: Annotated[
        Positive | None, Meta(description="a decision that takes longer is late; else the scenario's")
    ] = None
    alpha: Annotated[float, Meta(gt=0, le=0.2, description="error rate of all statistical guardrails together")] = 0.05
    delay_worse_share: Annotated[NotNegative | None, Meta(description="how much longer tasks may take")] = None
    reward_worse_share: Annotated[NotNegative | None, Meta(description="how much less reward there may be")] = None
    message_bytes_more_share: Annotated[NotNegative | None, Meta(description="how many more bytes a decision")] = None
    memory_more_share: Annotated[NotNegative | None, Meta(description="how much more memory of an agent")] = None


class Rule(Table, frozen=True, kw_only=True):
    """When the candidate stays: the interval of its gain over the baseline lies above a share of the baseline."""

    metric: Annotated[Metric | None, Meta(description="delay or reward; else that of the world")] = None
    gain_share: Annotated[
        float, Meta(ge=-1, le=1, description="0: it must be better; 0.05: by 5 %; -0.02: no more than 2 % worse")
    ] = 0.0
    alpha: Annotated[
        float, Meta(gt=0, le=0.2, description="error rate of the interval; 0.05: 95 %; shared by candidates")
    ] = 0.05


Positives = Annotated[int, Meta(ge=1)]


class Switchback(Table, frozen=True, kw_only=True):
    """Of a live run that no twin can be had of: candidate and baseline take turns everywhere, in blocks of frames."""

    pairs: Annotated[int, Meta(ge=1, description="of blocks, one of each arm, a coin says which comes first")] = 20
    block_frames: Annotated[int, Meta(ge=1, description="of each block")] = 20
    drop_frames: Annotated[
        Positives | None, Meta(description="of each block, the first ones; else 4 in the rental world, 1 elsewhere")
    ] = None


class Fault(Table, frozen=True, kw_only=True):
    """What goes wrong in the run and in its twin alike: an edge server loses its agent for some frames."""

    kind: Literal["agent_lost"]
    edge: Natural
    frame: Annotated[int, Meta(ge=0, description="of every run, its warm-up included")]
    frames: Annotated[int, Meta(ge=1)] = 1

    def into(self, scenario: Scenario) -> Scenario:
        """A scenario with it."""
        lost = (*scenario.agent.lost, (self.edge, self.frame, self.frame + self.frames))
        return msgspec.structs.replace(scenario, agent=msgspec.structs.replace(scenario.agent, lost=lost))


class Plan(Table, frozen=True, kw_only=True):
    """A whole trial."""

    name: Annotated[str, Meta(min_length=1, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    description: str = ""
    scenario: Annotated[str, Meta(min_length=1, description="a shipped one, or a path beside this file")]
    set: Annotated[tuple[str, ...], Meta(description="keys of the scenario to change: key=value")] = ()
    baseline: Annotated[str, Meta(min_length=1, description="SPEC of a policy, or a manifest beside this file")]
    candidate: Annotated[str, Meta(description="the same")] = ""
    candidates: Annotated[tuple[str, ...], Meta(description="several of them instead")] = ()
    seeds: Annotated[str, Meta(pattern=SEEDS, description="1-20, or 1,5,7-9")] = "1-20"
    warmup_frames: Annotated[
        int, Meta(ge=1, description="of each run, before the candidate is bound: it decides on copies")
    ] = 2
    stage: tuple[Stage, ...] = ()
    guardrails: Guardrails = Guardrails()
    rule: Rule = Rule()
    fault: tuple[Fault, ...] = ()
    switchback: Switchback | None = None
    learning: Annotated[bool, Meta(description="only false: agents that learn are exported before")] = False

    @property
    def seed_list(self) -> list[int]:
        """The seeds, in order."""
        found: list[int] = []
        for part in self.seeds.split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), min(int(last), int(first) + MOST_SEEDS) + 1) if dash else [int(first)]
        return found

    def each(self) -> list[Plan]:
        """A plan for each candidate: the same worlds and twins; they share the error rates (Bonferroni)."""
        if not self.candidates:
            return [self]
        share = len(self.candidates)
        guardrails = msgspec.structs.replace(self.guardrails, alpha=self.guardrails.alpha / share)
        rule = msgspec.structs.replace(self.rule, alpha=self.rule.alpha / share)
        return [
            msgspec.structs.replace(self, candidate=spec, candidates=(), guardrails=guardrails, rule=rule)
            for spec in self.candidates
        ]

    def with_faults(self, scenario: Scenario) -> Scenario:
        """A scenario with everything that goes wrong in it.

        Raises: ScenarioError: a fault is of an edge server that there is not.
        """
        for fault in self.fault:
            if fault.edge >= scenario.edges.count:
                raise ScenarioError(f"{self.name}: fault: edge {fault.edge}: there are 0..{scenario.edges.count - 1}")
            scenario = fault.into(scenario)
        return scenario

    def seeds_of(self, stage: Stage) -> list[int]:
        """The seeds a stage runs through."""
        return self.seed_list[: stage.runs or None]


def load(path: Path) -> Plan:
    """Read a TRIAL.toml; paths in it become whole.

    Raises: ScenarioError: with every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ScenarioError(f"{path}: cannot be read ({why}); give the path of a TRIAL.toml") from None
    plan = parse_table(Plan, text, str(path), contradictions)
    scenario = plan.scenario if plan.scenario in shipped_names() else str((path.parent / plan.scenario).resolve())
    return msgspec.structs.replace(
        plan,
        scenario=scenario,
        baseline=with_whole_paths(plan.baseline, path.parent),
        candidate=with_whole_paths(plan.candidate, path.parent) if plan.candidate else "",
        candidates=tuple(with_whole_paths(spec, path.parent) for spec in plan.candidates),
    )


def contradictions(plan: Plan) -> Iterator[str]:
    """What no key of a plan says alone."""
    seeds = plan.seed_list
    if len(seeds) != len(set(seeds)):
        yield "seeds: names one twice"
    if len(seeds) > MOST_SEEDS:
        yield f"seeds: are more than {MOST_SEEDS}"
    if bool(plan.candidate) == bool(plan.candidates):
        yield "candidate: must be given, or else candidates, a list of at least two"
    elif len(plan.candidates) == 1 or len(set(plan.candidates)) < len(plan.candidates) or "" in plan.candidates:
        yield "candidates: must be at least two, and no two alike; a single one is called candidate"
    arms = [("baseline", plan.baseline), ("candidate", plan.candidate)]
    for name, spec in [*arms, *(("candidates", spec) for spec in plan.candidates)]:
        if "," in spec or re.match(r"\d+=", spec):
            yield f"{name}: must be one policy or manifest; which edge servers it decides for is what stages say"
    if plan.learning:
        yield "learning: agents do not learn in a trial; export them (edgerig export), and name the export as candidate"
    for k, stage in enumerate(plan.stage):
        yield from _of_stage(plan, k, stage, len(seeds))
    kinds = [stage.kind for stage in plan.stage]
    if plan.switchback is not None:
        yield from _of_switchback(plan, plan.switchback, kinds)
        return
    ranks = [("shadow", "canary", "all").index(kind) for kind in kinds]
    if ranks != sorted(ranks):
        yield "stage: stages must come in the order shadow, canary, all"
    if kinds.count("all") != 1:
        yield "stage: exactly one must be of kind all: the verdict rests on all-candidate against all-baseline"
    elif len(seeds) < FEWEST_SEEDS:
        yield f"seeds: are {len(seeds)}, but a verdict needs pairs of at least {FEWEST_SEEDS} seeds"


def _of_switchback(plan: Plan, table: Switchback, kinds: Iterable[str]) -> Iterator[str]:
    if table.pairs < FEWEST_PAIRS:
        yield f"switchback.pairs: are {table.pairs}, but a verdict needs at least {FEWEST_PAIRS} pairs of blocks"
    if (table.drop_frames or 0) >= table.block_frames:
        yield f"switchback.drop_frames: {table.drop_frames} of {table.block_frames} leave nothing of a block"
    if set(kinds) - {"canary"}:
        yield "stage: before a switchback there may only be canaries; the blocks are the stage at all edge servers"
    if plan.candidates:
        yield "candidates: a switchback is of one; name it as candidate"
    given = plan.guardrails
    if any(name.endswith("_share") and getattr(given, name) is not None for name in given.__struct_fields__):
        yield "guardrails: shares are of a twin's figures, which a switchback is without; leave them out"
    if plan.fault:
        yield "fault: is of trials in one process; leave it out, or leave out [switchback]"


def _of_stage(plan: Plan, k: int, stage: Stage, seeds: int) -> Iterator[str]:
    if stage.kind == "canary":
        if bool(stage.edges) == (stage.share > 0.0):
            yield f"stage[{k}].edges: a canary needs either edges or a share"
        if len(set(stage.edges)) != len(stage.edges):
            yield f"stage[{k}].edges: names an edge server twice"
    elif stage.edges or stage.share:
        yield f"stage[{k}].edges: edges and share are of canary stages; a {stage.kind} stage is at all edge servers"
    if stage.runs > seeds:
        yield f"stage[{k}].runs: {stage.runs} are more than there are seeds ({seeds})"
    if stage.kind == "all" and 0 < stage.runs < FEWEST_SEEDS:
        yield f"stage[{k}].runs: a verdict needs pairs of at least {FEWEST_SEEDS} seeds"
