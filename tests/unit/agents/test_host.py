"""A Python class as an agent: what it is shown, and what becomes of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.errors import AgentError
from agents.host import Hosted, class_in
from agents.rollout import play
from agents.shown import CAP
from bus import agent_wire as wire
from emulator.assembly import resolve
from emulator.scenario_file import load

HEADER = wire.Header(wire.MAGIC, 1, 19, 0, 1, 1, 4, 1)


class Remembers:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.shown: list[tuple[int, Any]] = []
        self.rewards: list[tuple[int, float]] = []

    def decide(self, frame: int, observation: Any) -> Any:
        self.shown.append((frame, observation))
        return self.answer

    def after_frame(self, frame: int, reward: wire.Reward) -> None:
        self.rewards.append((frame, reward.reward_s))


def observation(*counts: float, services: int = 3) -> wire.Observation:
    return wire.Observation(len(counts) // services, services, np.array(counts, "<f8").tobytes())


@pytest.mark.parametrize("answer", [[2, 0], {0, 2}, np.array([2, 0]), (services for services in (0, 2))])
def test_services_come_in_any_collection_and_leave_ascending(answer: Any) -> None:
    assert Hosted(Remembers(answer)).decide(HEADER, observation()) == wire.Deployment((0, 2))


def test_it_is_shown_an_array_without_what_is_no_number_of_tasks() -> None:
    policy = Remembers([])
    Hosted(policy).decide(HEADER, observation(1, 2, 3, np.nan, -4, np.inf))
    ((frame, counts),) = policy.shown
    assert frame == 4
    assert counts.tolist() == [[1, 2, 3], [0, 0, CAP]]
    with pytest.raises(ValueError, match="8 bytes are no 1 x 3 counts"):
        Hosted(policy).decide(HEADER, wire.Observation(1, 3, bytes(8)))


def test_a_rental_is_a_number_and_rewards_are_told_to_who_listens() -> None:
    policy = Remembers(np.float64(2.0))
    assert Hosted(policy).decide(HEADER, wire.RentalObservation(1.0, 2.0, 3.0, 4.0, 5.0)) == wire.Rental(2)
    Hosted(policy).hear(HEADER, wire.Reward(7.0, 1.0, 2.0))
    Hosted(policy).hear(HEADER, wire.State("active"))
    assert policy.rewards == [(4, 7.0)]
    Hosted(object()).hear(HEADER, wire.Reward(7.0, 1.0, 2.0))


def test_a_class_is_found_in_its_file_or_named_as_missing(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    def __init__(self, setup):\n        self.setup = setup\n")
    assert class_in(f"{file}:Mine")(None).setup is None  # type: ignore[arg-type]
    with pytest.raises(AgentError, match="has no Yours"):
        class_in(f"{file}:Yours")
    with pytest.raises(AgentError, match="no Python file there"):
        class_in(f"{tmp_path}/gone.py:Mine")


def test_a_class_called_in_this_process_decides_as_the_policy_of_the_same_rule() -> None:
    """`edgerig sim` and trials call it directly; examples/agent-python has the rule of marginal-popularity."""
    manifest = Path(__file__).parents[3] / "examples" / "agent-python" / "agent.toml"
    decided = []
    for spec in (str(manifest), "marginal-popularity"):
        scenario = resolve(load("quickstart", ["edges.count=3", "frames=6", f"agent.policy={spec}"]))
        decided.append([(played.step.row, played.step.deployed.tolist()) for played in play(scenario)])
    assert decided[0] == decided[1]
