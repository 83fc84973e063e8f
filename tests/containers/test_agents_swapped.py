"""Agents that are exchanged in a run in containers: one that stands by takes over, and images are changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_stack import EDGES, TAG, Stack, run
from live_run import ROOT

pytestmark = pytest.mark.containers

BASE_IMAGE = "python:3.11-slim-bookworm"
"""Instead of Debian's own, which cannot be had where these tests run; of it the agent in C uses nothing but Debian."""

FRAME_SLOTS = 5
EXCHANGES = 3
"""Of all agents and back, at most, until a frame passes without a decision."""

ALL = ("--scale", f"agent={EDGES + 1}")
IN_C, IN_NODE = f"edgerig-agent-c:{TAG}", f"edgerig-agent-node:{TAG}"


def built(example: str, picture: str) -> str:
    """The image of an agent that has nothing of edgerig's."""
    base = os.environ.get("BASE_IMAGE") or BASE_IMAGE
    folder = str(ROOT / "examples" / example)
    run("docker", "build", "-q", "--build-arg", f"BASE_IMAGE={base}", "-t", picture, folder)
    return picture


@pytest.fixture(scope="module")
def in_c(image: str) -> str:
    return built("agent-c", IN_C)


@pytest.fixture(scope="module")
def in_node(image: str) -> str:
    return built("agent-node", IN_NODE)


@pytest.fixture
def restored(stack: Stack) -> Iterator[Stack]:
    """The run that tests share; whatever becomes of a test, the next one finds our agents there."""
    yield stack
    stack.env |= {"EDGERIG_NEXT_IMAGE": "", "EDGERIG_AGENT_IMAGE": ""}
    stack.compose("rm", "-sf", "agent-next")
    stack.compose("up", "-d", "--no-deps", *ALL, "agent")
    ours = {"popularity"}
    stack.until(lambda: stack.is_whole() and set(stack.deciding().values()) == ours, "ours decide again")


def gaps_of(events: str) -> list[dict[str, float]]:
    """Edge servers that were without a decision for some frames, from events.jsonl."""
    return [event for event in map(json.loads, events.splitlines()) if event["kind"] == "gap"]


@pytest.mark.parametrize(("picture", "agent"), [("", "marginal-popularity"), (IN_C, "agent-c")])
def test_agent_next_takes_over_and_no_decision_is_missed(restored: Stack, in_c: str, picture: str, agent: str) -> None:
    stack = restored
    stack.env["EDGERIG_NEXT_IMAGE"] = picture

    def taken_over() -> str:
        """On a machine that is busy a first decision may be late: the swap has failed then, and the next one begins."""
        stack.compose("up", "-d", "--no-deps", "agent-next")
        return stack.hub("swap", "3", "--to", "standby", "--deadline", "60", "--json")

    found = json.loads(stack.until(taken_over, "it has come, and takes over", 240.0))
    assert (found["stage"], found["missed"], found["gap_frames"]) == ("done", 0, 0)
    stack.until(lambda: stack.deciding().get("3") == agent, "Prometheus sees who decides")
    # Who was swapped out has ended; started again it is a spare, and takes the place when the other one goes.
    stack.compose("up", "-d", "--no-deps", *ALL, "agent")
    stack.compose("rm", "-sf", "agent-next")
    stack.until(lambda: stack.is_whole() and stack.deciding().get("3") == "popularity", "one of ours decides again")


def test_agents_are_exchanged_by_their_image_alone_with_a_gap_that_is_told(restored: Stack, in_c: str) -> None:
    stack, age = restored, "max(edgerig_decision_age_slots)"

    def gaps() -> list[dict[str, float]]:
        return gaps_of(stack.inside("hub", "sh", "-c", "cat /edgerig/runs/*/events.jsonl"))

    found, before = [], len(gaps())
    # The old ones stop before the new ones start: on the wall clock frames pass meanwhile, unless all that is quick.
    for name, picture in [("agent-c", in_c), ("popularity", "")] * EXCHANGES:
        stack.env["EDGERIG_AGENT_IMAGE"] = picture
        stack.compose("up", "-d", "--no-deps", *ALL, "agent")
        everyone = dict.fromkeys(map(str, range(EDGES)), name)
        stack.until(lambda everyone=everyone: stack.deciding() == everyone, f"every {name} decides")
        stack.until(lambda: stack.series(age)[0][1] < FRAME_SLOTS, "what they decide is in force")
        if found := gaps()[before:]:
            break
    assert found, "no frame passed without a decision, however often agents were exchanged"
    assert all(gap["last_frame"] - gap["first_frame"] + 1 == gap["missed"] > gap["held_s"] == 0.0 for gap in found)
    assert stack.series(f"max_over_time({age}[3m:2s])")[0][1] >= FRAME_SLOTS, "Prometheus shows it"


def test_in_lockstep_time_stands_while_agents_are_exchanged_and_none_is_missed(
    lockstep: Stack, in_c: str, in_node: str, tmp_path: Path
) -> None:
    ours = dict.fromkeys(map(str, range(EDGES)), "popularity")
    lockstep.until(lambda: lockstep.deciding() == ours, "everyone decides")
    for name, picture in (("agent-c", in_c), ("agent-node", in_node)):
        lockstep.env["EDGERIG_AGENT_IMAGE"] = picture
        lockstep.compose("up", "-d", "--no-deps", "agent")
        theirs = dict.fromkeys(ours, name)
        lockstep.until(lambda theirs=theirs: lockstep.deciding() == theirs, f"every {name} decides")
    lockstep.compose("stop", "hub")
    folder = lockstep.folder(tmp_path / "runs")
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["missed"], summary["refused"]) == (0, 0)
    gaps = gaps_of((folder / "events.jsonl").read_text())
    # Where the successor came before the next frame there was none to tell of.
    assert {gap["edge"] for gap in gaps} <= set(range(EDGES))
    assert gaps
    assert all(gap["missed"] == 0 < gap["held_s"] for gap in gaps)
