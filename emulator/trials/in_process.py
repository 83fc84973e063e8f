"""Trials in this process: a world for the run and one for its twin, of the same seed."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.errors import AgentError
from agents.policy import LearningPolicy, Setting, make_policy, observes
from emulator.assembly import build_network, resolve
from emulator.errors import ScenarioError
from emulator.scenario import Scenario
from emulator.scenario_file import load as load_scenario
from emulator.trials import episode
from emulator.trials.episode import Note
from emulator.trials.figures import Arm
from emulator.trials.plan import Plan
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
        if scenario.world != "offloading":
            raise ScenarioError(f"{plan.name}: scenario: trials of the {scenario.world} world are not done yet")
        if scenario.link:
            raise ScenarioError(f"{plan.name}: scenario: trials do not emulate links yet; take [[link]] out of it")
        self.scenario = resolve(scenario)
        self.trial = Trial(plan, self.scenario.edges.count, self.scenario.world)
        self._check()

    def _check(self) -> None:
        plan, network = self.plan, build_network(self.scenario)
        for spec in (plan.baseline, plan.candidate):
            edge = None if observes(spec) == "network" else 0
            setting = Setting(
                network, self.scenario.slots_per_frame, edge, self.scenario.seed, scenario=self.scenario.name
            )
            if isinstance(make_policy(spec, setting), LearningPolicy):
                raise AgentError(
                    f"agent {spec}: learns while it decides; export it, and let the trial judge the export"
                )
        for stage in plan.stage:
            self.trial.binding(stage)
            for spec in (plan.baseline, plan.candidate):
                if stage.kind == "canary" and observes(spec) == "network":
                    raise AgentError(
                        f"{plan.name}: stage canary: {spec} plans for the whole network, so a part of it proves "
                        "nothing; use shadow, then all"
                    )
        for fault in plan.fault:
            if fault.edge >= network.edges:
                raise ScenarioError(f"{plan.name}: fault: edge {fault.edge}: there are 0..{network.edges - 1}")
        for guard in self.trial.guards:
            if guard.figure not in FIGURES:
                raise ScenarioError(
                    f"{plan.name}: guardrails: {guard.figure} is not measured in one process; leave it out or use --bus"
                )

    def play(self, index: int, seed: int, note: Note) -> RunFigures:
        """Play the run of a stage and its twin."""
        binding = self.trial.binding(self.plan.stage[index])
        return episode.play(self.plan, index, seed, binding, self.tracks(index, seed), note)

    def tracks(self, index: int, seed: int) -> tuple[Track, Track]:
        """The run of a stage, and its twin."""
        scenario: Scenario = msgspec.structs.replace(self.scenario, seed=seed)
        budget_s = self.plan.guardrails.decision_budget_s or scenario.agent.decision_budget_s
        both: dict[Arm, str] = {"baseline": self.plan.baseline, "candidate": self.plan.candidate}
        run = OffloadingTrack(scenario, both, budget_s, self._nobody)
        return run, OffloadingTrack(scenario, {"baseline": self.plan.baseline}, budget_s, self._nobody)

    def _nobody(self, edge: int, frame: int) -> bool:
        return any(each.edge == edge and each.frame <= frame < each.frame + each.frames for each in self.plan.fault)
