"""Trials in this process: a world for the run and one for its twin, of the same seed."""

from __future__ import annotations

from typing import Any

import msgspec

from agents import policy, rental_policy
from agents.errors import AgentError
from agents.policy import LearningPolicy, Setting, make_policy
from agents.rental_policy import LearningRental, RentalSetting, make_rental_policy
from emulator.assembly import build_network, resolve
from emulator.errors import ScenarioError
from emulator.rental_plan import build_plan, resolve_rental
from emulator.rental_run import check_links
from emulator.scenario import Scenario
from emulator.scenario_file import load as load_scenario
from emulator.trials import episode
from emulator.trials.episode import Note
from emulator.trials.figures import Arm
from emulator.trials.plan import Plan
from emulator.trials.rental_worlds import RentalTrack
from emulator.trials.rules import RunFigures, Trial
from emulator.trials.worlds import OffloadingTrack, Track

FIGURES = ("delay", "reward", "message_bytes")
"""What can be measured without processes; memory is a process's."""


class InProcess:
    """Makes the worlds of a trial."""

    mode = "in-process"
    live: dict[str, Any] | None = None

    def __init__(self, plan: Plan, scenario: Scenario | None = None) -> None:
        """Read the scenario and check that the trial can be held in it.

        Args:
            plan: The trial.
            scenario: Instead of the plan's: that of a live run.
        Raises: ScenarioError, AgentError: it cannot.
        """
        self.plan = plan
        scenario = scenario or load_scenario(plan.scenario, plan.set)
        self._rental = scenario.world == "rental"
        if self._rental:
            check_links(scenario)
        scenario = plan.with_faults(scenario)
        self.scenario = resolve_rental(scenario) if self._rental else resolve(scenario)
        self.trial = Trial(plan, self.scenario.edges.count, self.scenario.world)
        # What agents of the offloading world see is independent of what they decide, so their shadows' world is exact.
        self.trial.estimated_shadows = self._rental or self.scenario.tasks != "expected"
        self._observes = rental_policy.observes if self._rental else policy.observes
        self._check_agents()
        self._check_plan()

    def _check_agents(self) -> None:
        for spec in (self.plan.baseline, self.plan.candidate):
            everyone = self._observes(spec) == "network"
            if isinstance(self._made(spec, None if everyone else 0), LearningPolicy | LearningRental):
                raise AgentError(
                    f"agent {spec}: learns while it decides; export it, and let the trial judge the export"
                )
            if everyone and self.scenario.link and not self._rental:
                raise AgentError(
                    f"{self.plan.name}: {spec} decides for the whole network, which over [[link]] each edge server's "
                    "agent sees otherwise; take [[link]] out"
                )
            if everyone and any(stage.kind == "canary" for stage in self.plan.stage):
                raise AgentError(
                    f"{self.plan.name}: stage canary: {spec} decides for the whole network, so a part of it proves "
                    "nothing; use shadow, then all"
                )

    def _made(self, spec: str, edge: int | None) -> object:
        """An agent, which says what it lacks.

        Raises: AgentError: it cannot work here.
        """
        scenario = self.scenario
        if self._rental:
            return make_rental_policy(
                spec, RentalSetting(build_plan(scenario), edge, scenario.seed, scenario=scenario.name)
            )
        network = build_network(scenario)
        return make_policy(
            spec, Setting(network, scenario.slots_per_frame, edge, scenario.seed, scenario=scenario.name)
        )

    def _check_plan(self) -> None:
        plan = self.plan
        for stage in plan.stage:
            self.trial.binding(stage)
        for guard in self.trial.guards:
            if guard.figure not in FIGURES:
                raise ScenarioError(
                    f"{plan.name}: guardrails: {guard.figure} is not measured in one process, where agents have no "
                    "memory of their own; leave it out, or use --bus"
                )

    def play(self, index: int, seed: int, note: Note) -> RunFigures:
        """Play the run of a stage and its twin."""
        binding = self.trial.binding(self.plan.stage[index])
        return episode.play(self.plan, index, seed, binding, self.tracks(index, seed), note)

    def tracks(self, index: int, seed: int) -> tuple[Track, Track]:
        """The run of a stage, and its twin; of a shadow stage the shadows' world, and the run that they see."""
        scenario: Scenario = msgspec.structs.replace(self.scenario, seed=seed)
        budget_s = self.plan.guardrails.decision_budget_s or scenario.agent.decision_budget_s
        alone: dict[Arm, str] = {"baseline": self.plan.baseline}
        both: dict[Arm, str] = {**alone, "candidate": self.plan.candidate}
        if not self._rental:
            return OffloadingTrack(scenario, both, budget_s), OffloadingTrack(scenario, alone, budget_s)
        live = RentalTrack(scenario, alone, budget_s)
        shown_by = live if self.plan.stage[index].kind == "shadow" else None
        return RentalTrack(scenario, both, budget_s, shown_by), live
