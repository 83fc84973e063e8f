"""Every policy that one edge server alone can ask, in the host that speaks the agent protocol for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from agents import policy, rental_policy
from agents.errors import AgentError
from agents.policy_host import check_hostable, hosted
from bus import agent_wire as wire
from bus.agent_client import Decider
from emulator.conformance import BUDGET_S, drawn, face_of
from emulator.conformance_checks import IMPOSSIBLE, impossible
from emulator.conformance_ours import ours

EDGE, FRAMES = 3, 20
LEARNS = ("ttosc", "madql-online")
"""Refused, because they learn while they act: tests/learn has them."""
ARGUED = {"constant": "constant:2"}
WORLDS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "offloading": ("quickstart", policy.names),
    "rental": ("quickstart-rental", rental_policy.names),
}


def _hostable() -> list[tuple[str, str]]:
    found = []
    for world, (scenario, names) in WORLDS.items():
        for name in names():
            with contextlib.suppress(AgentError):
                check_hostable(name, world)
                found.append((scenario, ARGUED.get(name, name)))
    return [(scenario, spec) for scenario, spec in found if spec not in LEARNS]


def _header(frame: int) -> wire.Header:
    return wire.Header(wire.MAGIC, wire.PROTOCOL, 0, EDGE, 1, 1, frame, 0)


@pytest.mark.parametrize(("scenario", "spec"), _hostable())
def test_a_policy_decides_well_what_can_be_alike_in_two_lives_and_lives_on_after_what_cannot(
    scenario: str, spec: str
) -> None:
    found = ours(spec, scenario, EDGE, BUDGET_S)
    face = face_of(found, EDGE, "lockstep")
    make, _ = hosted(spec, found.scenario, EDGE)
    frames = [drawn(face, EDGE, frame) for frame in range(FRAMES)]

    def lived(decider: Decider) -> list[wire.Said]:
        return [decider.decide(_header(frame), said) for frame, said in enumerate(frames)]

    decider = make(face.setup)
    first = lived(decider)
    assert {face.refusal(said) for said in first} == {""}
    assert lived(make(face.setup)) == first
    for value in IMPOSSIBLE:
        with contextlib.suppress(ValueError):  # which the client passes over: nothing is decided
            assert not face.refusal(decider.decide(_header(FRAMES), impossible(frames[0], value)))
    assert decider.decide(_header(FRAMES), frames[0]) == make(face.setup).decide(_header(FRAMES), frames[0])


def test_every_policy_of_the_quickstarts_is_looked_at_but_those_that_need_others() -> None:
    found = {
        scenario: {spec.partition(":")[0] for at, spec in _hostable() if at == scenario}
        for scenario, _ in WORLDS.values()
    }
    assert {"cloud-only", "greedy", "marginal-popularity", "onnx", "popularity", "random"} <= found["quickstart"]
    assert {"actor", "all1", "constant", "greedy-rule", "madql", "onnx", "random"} <= found["quickstart-rental"]
    assert "marginal-greedy" not in found["quickstart"]
    assert "n2o" not in found["quickstart-rental"]


def test_whoever_learns_negotiates_or_is_not_there_is_refused_in_a_line() -> None:
    for spec, scenario, edge, told in (
        ("n2o", "quickstart-rental", EDGE, "negotiates with its neighbours"),
        ("marginal-greedy", "quickstart", EDGE, "observes the whole network"),
        ("madql-online", "quickstart-rental", EDGE, "learn"),
        ("popularity", "quickstart", 9, "there are 0..4"),
        ("nobody", "quickstart", EDGE, "no such policy"),
    ):
        with pytest.raises(AgentError, match=told):
            ours(spec, scenario, edge, BUDGET_S)
