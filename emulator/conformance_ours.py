"""Policies of ours before the conformance suite: each has a process of its own there, as when it is swapped in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.manifest import Manifest, State
from agents.policy_host import hosted, spec_of
from bus.agent_wire import PROTOCOL
from emulator.introduced import own_version
from emulator.run import prepare
from emulator.scenario import Scenario
from emulator.scenario_file import load


@dataclass(frozen=True)
class Ours:
    """A policy by its SPEC, and the scenario that it is asked in."""

    spec: str
    scenario: Scenario
    state_format: str = ""

    @property
    def manifest(self) -> Manifest:
        """What would stand in its manifest: it draws from streams of its seed, so it decides alike in every life."""
        world: Literal["offloading", "rental"] = "offloading" if self.scenario.rental is None else "rental"
        state = State(self.state_format) if self.state_format else None
        return Manifest(self.spec, own_version(), PROTOCOL, world, "python", file="", deterministic=True, state=state)


def ours(spec: str, scenario: str, edge: int, budget_s: float) -> Ours:
    """Find a policy that can be asked by one edge server alone.

    Args:
        spec: ``NAME`` or ``NAME:ARGUMENT``, as in ``--agent``.
        scenario: Name or path of the scenario to ask it in.
        edge: The edge server.
        budget_s: What a decision may take, wall seconds.
    Raises: AgentError, ScenarioError: there is none, or it does not work there.
    """
    resolved = prepare(load(scenario, [f"agent.policy={spec}", f"agent.decision_budget_s={budget_s}"]), on_bus=True)
    return Ours(spec, resolved, hosted(spec_of(resolved, edge), resolved, edge)[1])
