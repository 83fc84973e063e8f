"""What cannot be tried on the bus is refused in one line, with what to do instead, before anything is started."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import plan_of

from agents.errors import AgentError
from emulator.errors import ScenarioError
from emulator.trials.on_bus import OnBus

RENTAL = {"scenario": "quickstart-rental", "baseline": "onnx", "candidate": "greedy-rule"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"scenario": "lossy"},
            r"hold the trial in one process \(leave out --bus and --rate\), or take \[\[link\]\] out",
        ),
        ({"fault": [{"kind": "agent_lost", "edge": 7, "frame": 3}]}, r"fault: edge 7: there are 0\.\.4"),
        ({**RENTAL, "candidate": "owner"}, "agent owner: negotiates with its neighbours"),
        ({**RENTAL, "baseline": "maxsum"}, "agent maxsum: negotiates with its neighbours"),
        ({"candidate": "ils:2"}, "agent ils:2: observes the whole network"),
    ],
)
def test_it_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises((AgentError, ScenarioError), match=said) as raised:
        OnBus(plan_of(**change))
    assert "\n" not in str(raised.value)


def test_the_rental_world_is_tried_on_the_bus_where_agents_decide_alone() -> None:
    assert OnBus(plan_of(**RENTAL)).trial.metric == "reward"
