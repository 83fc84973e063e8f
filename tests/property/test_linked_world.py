"""Whatever links do, each task ends once, and what they do is drawn for them alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_world import scenario

from agents import rollout
from emulator.scenario import Link, Scenario
from emulator.scenario_checks import contradictions
from emulator.world import World

ENDS = ("cell/*", "edge/*", "edge/1", "agent/*", "cloud", "scheduler", "*", "cell/0")
SHARES = st.sampled_from([0.0, 0.05, 0.5, 1.0])


@st.composite
def links(draw: st.DrawFn) -> tuple[Link, ...]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, 5))
        found.append(
            Link(
                source=draw(st.sampled_from(ENDS)),
                target=draw(st.sampled_from(ENDS)),
                both=draw(st.booleans()),
                latency_s=draw(st.sampled_from([0.0001, 0.1, 30.0, 70.0])),
                jitter_s=draw(st.sampled_from([0.0, 0.01, 40.0])),
                rate_bps=draw(st.sampled_from([0.0, 50.0, 1e4, 1e6])),
                loss=draw(SHARES),
                duplicate=draw(SHARES),
                reorder=draw(SHARES),
                cut=draw(st.sampled_from([(), ((first, first + 2),)])),
                flap_period_s=90.0,
                flap_up_share=draw(st.sampled_from([0.4, 0.9])),
            )
        )
    return tuple(found)


def with_links(found: tuple[Link, ...], seed: int, *overrides: str) -> Scenario:
    plain = scenario(3, 5, f"seed={seed}", "frames=3", *overrides)
    linked = Scenario(**{**{name: getattr(plain, name) for name in plain.__struct_fields__}, "link": found})
    assert contradictions(linked) == []
    return linked


@settings(max_examples=40, deadline=None)
@given(
    found=links(),
    seed=st.integers(0, 99),
    tasks=st.sampled_from(["expected", "sampled", "queued"]),
    at=st.sampled_from(["cloud", "edges"]),
)
def test_no_task_is_lost_and_none_ends_twice(found: tuple[Link, ...], seed: int, tasks: str, at: str) -> None:
    if at == "edges":
        found = tuple(link for link in found if "scheduler" not in (link.source, link.target)) or (
            Link(source="*", target="*", loss=0.3),
        )
    linked = with_links(found, seed, f"tasks={tasks}", f"scheduler.at={at}", "slot_s=60.0")
    world = World(linked)
    before = 0.0
    for played in rollout.play(linked, world):
        for slot in played.step.slots:
            row = slot.row
            ended = row.local + row.peer + row.cloud + row.dropped
            assert np.isclose(before + row.tasks, ended + row.in_flight)
            assert row.tasks == slot.tasks.sum(), "who told what of arrivals does not change how many there are"
            assert row.in_flight >= 0.0
            dropped = sum(sum(outcome.reasons.values()) for outcome in slot.outcomes())
            assert np.isclose(dropped, row.dropped), "each drop has a reason"
            assert np.isfinite(row.delay_s)
            before = row.in_flight


@settings(max_examples=10, deadline=None)
@given(found=links(), seed=st.integers(0, 99))
def test_a_run_over_links_can_be_repeated(found: tuple[Link, ...], seed: int) -> None:
    rows = [
        [slot.row for played in rollout.play(with_links(found, seed)) for slot in played.step.slots] for _ in range(2)
    ]
    assert rows[0] == rows[1]


def test_links_that_lose_everything_leave_everybody_alone() -> None:
    everything = with_links((Link(source="*", target="*", loss=1.0),), 3)
    world = World(everything)
    rows = [slot.row for played in rollout.play(everything, world) for slot in played.step.slots]
    assert all(row.dropped == row.tasks for row in rows)
    assert set(world.totals.reasons) == {"link"}


def test_late_is_told_from_lost() -> None:
    late = with_links((Link(source="cell/*", target="edge/*", latency_s=61.0),), 3)
    world = World(late)
    list(rollout.play(late, world))
    assert set(world.totals.reasons) == {"late"}


def test_a_cell_that_the_scheduler_does_not_hear_of_helps_itself() -> None:
    deaf = with_links((Link(source="cell/*", target="scheduler", loss=1.0),), 3)
    rows = [slot.row for played in rollout.play(deaf) for slot in played.step.slots]
    assert all(row.dropped == 0.0 and row.peer == 0.0 for row in rows)
    assert any(row.local > 0.0 for row in rows)
    assert any(row.cloud > 0.0 for row in rows)


def test_a_scheduler_that_hears_of_no_new_deployment_sends_tasks_in_vain() -> None:
    cut = Link(source="edge/*", target="scheduler", cut=((3, 9),))
    stale = with_links((cut,), 3, "agent.policy=random")
    world = World(stale)
    list(rollout.play(stale, world))
    assert set(world.totals.reasons) == {"not_deployed"}


def test_decisions_that_do_not_come_leave_the_one_before_in_force() -> None:
    cut = Link(source="agent/1", target="edge/1", cut=((3, 9),))
    linked = with_links((cut,), 3, "agent.policy=random")
    frames = [played.step for played in rollout.play(linked)]
    assert [step.refused[1] for step in frames] == ["", "link", "link"]
    assert (frames[1].deployed[1] == frames[0].deployed[1]).all()
    assert (frames[1].deployed[0] != frames[0].deployed[0]).any()
