"""Swaps on the wall clock, where nothing waits: who cannot decide as it takes over is stood in for in that frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from foreign_agent import ForeignAgent
from test_foreign_agents import popular
from test_swaps import AT, Scene

from bus.messages import DeploymentInForce
from bus.swap_messages import Swap, SwapQuery, SwapState

# Real time passes here, so it runs by itself, and a slot is long against what a busy machine takes away.
pytestmark = pytest.mark.processes
SLOT_WALL_S = 0.8
SILENT, BAD, DYING = range(3)


def decide(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
    """Three ways of not deciding in the frame of the take-over."""
    edge, epoch = header[3], header[5]
    takes_over = epoch == 2 and not hasattr(agent, "took_over")
    if epoch == 2:
        agent.took_over = True  # type: ignore[attr-defined]
    if not takes_over:
        return popular(agent, header, said)
    if edge == DYING:
        agent.silent = True
    return {"services": [0, 1, 2, 3, 4, 5]} if edge == BAD else None


class Walled(Scene):
    """Three swaps of an edge server each; time goes its way."""

    numbers: tuple[int, ...] = ()

    def turn(self, run: Any) -> None:
        super().turn(run)
        there = all(run.registry.standbys.of(f"/agent/{edge}") for edge in self.edges)
        if self.agents and there and not self.numbers:
            swaps = run.hub._changes.swaps
            self.numbers = tuple(
                swaps.ask(Swap((edge,), to=(f"next-{edge}",), **self.asked)).number for edge in self.edges
            )
        dying = self.agents.get(DYING)
        if dying is not None and dying.silent and dying.instance in run.registry._entries:
            run.registry.drop(dying.instance, "its process ended with code -9")

    def states(self) -> list[SwapState]:
        return list(self.run.hub._changes.swaps.status(SwapQuery()).swaps)


def test_whoever_cannot_decide_as_it_takes_over_is_stood_in_for_and_none_is_missed(tmp_path: Path) -> None:
    scene = Walled(
        tmp_path, decide, edges=(SILENT, BAD, DYING), clock="wall", rate=60.0 / SLOT_WALL_S, asked={"at_frame": AT}
    )
    scene.number = 0  # it asks for its own
    try:
        assert scene.run.play() == 0
    finally:
        for agent in scene.agents.values():
            agent.close()
    states = sorted(scene.states(), key=lambda state: state.parts[0].edge)
    assert [state.stage for state in states] == ["failed"] * 3
    assert [state.failed for state in states] == ["take-over"] * 3
    assert [state.missed for state in states] == [0] * 3
    for state, reason in zip(states, ("late", "infeasible", ""), strict=True):
        assert reason in state.reason
        assert state.rolled_back_frame == state.frame + 1
    told = [m for sent in scene.run.sent if isinstance(m := sent.message, DeploymentInForce)]
    took = {(state.parts[0].edge, state.frame) for state in states}
    assert {(m.edge, m.frame) for m in told} >= took
    assert not [m for m in told if (m.edge, m.frame) in took and m.refused]
