"""What a run's books say of two arms: each row of a decision once, and to the right arm."""

import os
from pathlib import Path

import pytest
from scripted import plan_of

from emulator.errors import ScenarioError
from emulator.trials import bus_books
from emulator.trials.bus_books import Residents, across
from emulator.trials.on_bus import OnBus

HEAD = "publisher,topic,subscriber,plane,class,phase,messages,payload_bytes,header_bytes,wire_bytes\n"
ROWS = """\
/agent/0,/agent/0/deployment,edge-0,data,data,deployment,4,40,0,0
/agent/1,/agent/1/deployment,edge-1,data,data,deployment,4,40,0,0
/edge/0,/edge/0/frame_observation,agent-0,data,data,deployment,4,600,0,0
/edge/1,/edge/1/frame_observation,agent-1,data,data,deployment,4,600,0,0
/edge/1,/edge/1/frame_observation,agent-1,data,repair,deployment,1,160,0,0
/edge/0,/edge/0/frame_observation,edge-0,data,data,deployment,4,9999,0,0
/edge/0,/edge/0/frame_observation,top,data,observed,deployment,4,9999,0,0
/agent/0,foreign:/agent/0/Deployment,edge-0,data,data,deployment,2,50,0,0
/edge/0,foreign:/edge/0/Observation,/agent/0,data,data,deployment,2,450,0,0
/edge/0,foreign:/edge/0/Reward,/agent/0,data,data,settlement,2,9999,0,0
/agent/0,foreign:/agent/0/Beat,hub,control,control,membership,2,9999,0,0
/edge/0,/agent/0/deployment,edge-0,data,data,deployment,2,9999,0,0
"""


def test_message_bytes_of_a_decision_go_to_their_arm(tmp_path: Path) -> None:
    (tmp_path / "messages.csv").write_text(HEAD + ROWS)
    assert bus_books.message_bytes(tmp_path) == {"baseline": 1440 / 8, "candidate": 500 / 2}


def test_an_arm_that_decided_nothing_has_no_figure(tmp_path: Path) -> None:
    (tmp_path / "messages.csv").write_text(HEAD + "".join(ROWS.splitlines(keepends=True)[:6]))
    assert bus_books.message_bytes(tmp_path).keys() == {"baseline"}
    assert across({"baseline": 3.0}, ["candidate", "baseline"]) is None


def test_decisions_go_to_who_was_bound(tmp_path: Path) -> None:
    rows = "".join(f"{slot},{edge},{slot}.{edge}\n" for slot in range(0, 8, 2) for edge in (0, 1))
    (tmp_path / "decisions.csv").write_text("slot,edge,decision_s\n" + rows)
    found = bus_books.decision_s(tmp_path, 2, {0: range(1, 3)})
    assert found == {"baseline": [0.0, 0.1, 2.1, 4.1, 6.0, 6.1], "candidate": [2.0, 4.0]}
    assert bus_books.decision_s(tmp_path / "nowhere", 2, {}) == {"baseline": [], "candidate": []}


def test_the_networks_figure_is_that_of_who_is_bound_where() -> None:
    assert across({"baseline": 100.0, "candidate": 400.0}, ["candidate", "baseline", "baseline"]) == (200.0, 100.0)


def test_memory_is_the_peak_of_processes_that_may_be_gone() -> None:
    here = os.getpid()
    peak = bus_books.peak_bytes(here)
    assert peak > 10**7
    found = Residents()
    found.look([("agent-0", here), ("agent-1", here), ("agent-0-swap-1", here), ("hub", here)])
    found.look([("agent-0", 2**22 + 1)])
    assert found.memory(2) == {"baseline": pytest.approx(peak, rel=0.2), "candidate": pytest.approx(peak, rel=0.2)}
    assert found.memory(3).keys() == {"candidate"}, "who shares a process has no figure"


BACKEND = "scheduler.backend=numpy"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"set": ["processes.agent=2", BACKEND]}, "agents share processes; set processes.agent=0"),
        ({"stage": [{"kind": "shadow", "frames": 1}, {"kind": "all", "frames": 1}]}, "shadow stage is played in one"),
    ],
)
def test_memory_that_cannot_be_told_apart_is_refused(change: dict[str, object], said: str) -> None:
    plan = plan_of(**{"candidate": "marginal-popularity", "guardrails": {"memory_more_share": 0.5}, **change})
    with pytest.raises(ScenarioError, match=said):
        OnBus(plan)


def test_memory_may_have_a_guardrail_on_the_bus() -> None:
    plan = plan_of(candidate="marginal-popularity", guardrails={"memory_more_share": 0.5}, set=[BACKEND])
    assert [guard.figure for guard in OnBus(plan).trial.guards] == ["memory"]
