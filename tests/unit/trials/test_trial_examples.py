"""The trials of examples/trials end as they say, and bad candidates do no harm beyond the canary."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emulator.trials import answer
from emulator.trials.conduct import hold
from emulator.trials.in_process import InProcess
from emulator.trials.plan import Fault, Plan, load
from monitoring.paired import compared

EXAMPLES = Path(__file__).parents[3] / "examples" / "trials"


def held(folder: Path, name: str, change: Any = lambda plan: plan) -> dict[str, Any]:
    plan: Plan = change(load(EXAMPLES / f"{name}.toml"))
    driver = InProcess(plan)
    folder.mkdir(exist_ok=True)
    hold(driver, folder, lambda progress: None)
    return answer.write(folder, driver)


def test_the_better_agent_is_promoted(tmp_path: Path) -> None:
    def short(plan: Plan) -> Plan:
        stages = [msgspec.structs.replace(stage, frames=10, runs=min(stage.runs, 3)) for stage in plan.stage]
        return msgspec.structs.replace(plan, stage=tuple(stages))

    found = held(tmp_path, "popularity-vs-ttosc", short)
    assert found["verdict"] == "promoted"
    assert found["missed"] == {"candidate": 0, "elsewhere": 0}
    assert found["stages"][2]["comparison"]["delay"]["share"] < -0.1


@pytest.mark.parametrize(
    ("name", "guardrail", "first", "last"),
    [
        ("bad-candidate", "infeasible", 3, 21),
        ("crashing-candidate", "crash", 8, 8),
        ("slow-candidate", "late", 2, 12),
    ],
)
def test_a_bad_candidate_is_rolled_back_at_the_next_frame(
    tmp_path: Path, name: str, guardrail: str, first: int, last: int
) -> None:
    found = held(tmp_path, name)
    assert found["verdict"] == "rolled_back"
    at = found["rolled_back_at"]
    assert (at["kind"], at["by"], at["runs"]) == ("canary", guardrail, 1)
    breach = found["stages"][0]["runs"][0]["breach"]
    assert first <= breach["frame"] <= last, "it was bound, so it did well in its warm-up"
    assert at["frame"] == breach["frame"] + 1
    assert found["missed"]["elsewhere"] == 0
    assert 1 <= found["missed"]["candidate"] <= 2, "in one frame, at the two edge servers of the canary at most"
    assert found["stages"][1]["runs"] == []


def test_a_subtly_worse_candidate_is_found(tmp_path: Path) -> None:
    found = held(tmp_path, "subtly-worse-candidate")
    assert found["verdict"] == "rolled_back"
    assert found["rolled_back_at"]["by"] == "sequential"
    assert found["rolled_back_at"]["candidate_frames"] <= 1200


def test_a_policy_against_itself_differs_by_exactly_nothing(tmp_path: Path) -> None:
    def itself(plan: Plan) -> Plan:
        stages = [msgspec.structs.replace(stage, frames=4, runs=min(stage.runs, 2)) for stage in plan.stage]
        return msgspec.structs.replace(plan, candidate="popularity", stage=tuple(stages))

    found = held(tmp_path, "popularity-vs-ttosc", itself)
    assert found["verdict"] == "inconclusive"
    differences = [value for stage in found["stages"] for run in stage["runs"] for value in run["difference"].values()]
    assert set(differences) == {0.0}
    assert len(differences) == 3 * 24


def test_faults_hit_the_run_and_its_twin_alike(tmp_path: Path) -> None:
    def itself(plan: Plan) -> Plan:
        stages = tuple(msgspec.structs.replace(stage, frames=4, runs=min(stage.runs, 1)) for stage in plan.stage)
        fault = (Fault(kind="agent_lost", edge=0, frame=3, frames=2),)
        return msgspec.structs.replace(plan, candidate="popularity", stage=stages, fault=fault)

    whole = held(
        tmp_path / "whole", "popularity-vs-ttosc", lambda plan: msgspec.structs.replace(itself(plan), fault=())
    )
    found = held(tmp_path / "lost", "popularity-vs-ttosc", itself)
    first, second = (each["stages"][2]["runs"][0] for each in (whole, found))
    assert second["run"]["delay"] == second["twin"]["delay"] != first["twin"]["delay"]
    assert found["missed"] == {"candidate": 0, "elsewhere": 0}, "nobody is bound there"


def test_cooperation_is_judged_by_what_it_does_for_the_network(tmp_path: Path) -> None:
    """Canary against control reads worse with certainty; the network is faster, and that is the verdict."""
    found = held(tmp_path, "cooperating-candidate")
    assert found["verdict"] == "promoted"
    canary = found["stages"][0]
    cells = [run["cells"] for run in canary["runs"]]
    naive = compared(*(np.array([each[group]["run"] for each in cells]) for group in ("candidate", "others")))
    assert naive.low > 0.0, "who compared edge servers of one run would roll it back"
    assert canary["comparison"]["delay"]["high"] < 0.0
    assert all(each["others"]["run"] < each["others"]["twin"] for each in cells), "others gain most"
