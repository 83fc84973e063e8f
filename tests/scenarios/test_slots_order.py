"""The order of a slot, publication by publication, and what an attempt repeats.

first slot of a frame:  tick -> observation -> decision -> in force ------v
every slot:             tick -> arrivals --------------------------> schedule -> offload -> completed -> outcome -> done -> tick
"""  # noqa: E501

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from thread_run import Kill, ThreadRun, small

STAGES = {
    "tick": r"/hub/tick",
    "observation": r"/edge/\d/frame_observation",
    "decision": r"/agent/\d/deployment",
    "in force": r"/edge/\d/deployment_in_force",
    "arrivals": r"/cell/\d/arrivals",
    "schedule": r"/scheduler/schedule",
    "offload": r"/edge/\d/offload/.*",
    "completed": r"/(edge/\d|cloud)/completed/\d",
    "outcome": r"/edge/\d/outcome",
    "done": r"/process/.*/done",
}


def stage(topic: str) -> str:
    return next((name for name, pattern in STAGES.items() if re.fullmatch(pattern, topic)), "")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> ThreadRun:
    run = ThreadRun(small(seed=20), tmp_path_factory.mktemp("quiet") / "run")
    assert run.play() == 0
    return run


def test_every_publication_comes_after_what_it_waits_for(quiet: ThreadRun) -> None:
    for slot in range(quiet.scenario.slots):
        sent = [each.topic for each in quiet.sent if each.slot == slot and stage(each.topic)]
        at = {topic: place for place, topic in enumerate(sent)}
        first = slot % 2 == 0
        assert sent[0] == "/hub/tick"
        waits = {"/scheduler/schedule": [f"/cell/{m}/arrivals" for m in range(3)]}
        for m in range(3):
            if first:
                waits[f"/agent/{m}/deployment"] = [f"/edge/{m}/frame_observation"]
                waits[f"/edge/{m}/deployment_in_force"] = [f"/agent/{m}/deployment"]
                waits["/scheduler/schedule"].append(f"/edge/{m}/deployment_in_force")
            answers = [topic for topic in sent if re.fullmatch(rf"/(edge/\d|cloud)/completed/{m}", topic)]
            waits[f"/edge/{m}/outcome"] = answers
            waits[f"/process/edge-{m}/done"] = [f"/edge/{m}/outcome"]
            for topic in sent:
                if topic.startswith(f"/edge/{m}/offload/"):
                    waits[topic] = ["/scheduler/schedule", f"/cell/{m}/arrivals"]
                    to = topic.rpartition("/")[2]
                    waits[f"/cloud/completed/{m}" if to == "cloud" else f"/edge/{to}/completed/{m}"] = [topic]
        for topic, before in waits.items():
            for earlier in before:
                assert at[earlier] < at[topic], f"slot {slot}: {topic} before {earlier}"


def test_a_slot_has_the_messages_it_needs_and_no_more(quiet: ThreadRun) -> None:
    for slot in range(quiet.scenario.slots):
        sent = [each for each in quiet.sent if each.slot == slot and stage(each.topic)]
        count = Counter(stage(each.topic) for each in sent)
        first = 3 if slot % 2 == 0 else 0
        assert (count["observation"], count["decision"], count["in force"]) == (first, first, first)
        assert (count["tick"], count["arrivals"], count["schedule"], count["outcome"]) == (1, 3, 1, 3)
        assert count["done"] == 5  # cells, cloud with scheduler, three edge servers
        assert count["offload"] == count["completed"]  # nobody is sent nothing, and everybody answers
        assert all(each.attempt == 0 for each in sent)


def test_no_slot_begins_before_the_one_before_is_done(quiet: ThreadRun) -> None:
    ticks = [place for place, each in enumerate(quiet.sent) if each.topic == "/hub/tick"]
    for slot, (begin, end) in enumerate(pairwise(ticks)):
        done = [each for each in quiet.sent[begin:end] if stage(each.topic) == "done"]
        assert sorted(each.process for each in done) == ["cell-0", "cloud", "edge-0", "edge-1", "edge-2"]
        assert {each.slot for each in done} == {slot}


def test_a_second_attempt_says_everything_again_and_what_is_in_force_too(tmp_path: Path) -> None:
    run = ThreadRun(small(seed=20), tmp_path / "run", [Kill("edge-1", 5, "/edge/1/outcome")])
    assert run.play() == 0
    again = Counter(stage(each.topic) for each in run.sent if (each.slot, each.attempt) == (5, 1))
    assert (again["tick"], again["arrivals"], again["schedule"]) == (0, 3, 1)
    assert (again["in force"], again["observation"], again["outcome"], again["done"]) == (2, 0, 2, 4)
    ticks = [each.slot for each in run.sent if each.topic == "/hub/tick"]
    assert ticks == list(range(run.scenario.slots))
