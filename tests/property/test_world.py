"""The in-process world: one set of numbers whatever computes it, every task ends once, reset goes back."""

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import records
from emulator.assembly import resolve
from emulator.model import scheduling
from emulator.model.offloading import Bools, Floats, FrameCosts
from emulator.scenario import Scenario
from emulator.scenario_file import load
from emulator.world import FrameStep, World

NUMBA = importlib.util.find_spec("numba") is not None


def scenario(edges: int, services: int, *overrides: str) -> Scenario:
    sizes = (f"edges.count={edges}", f"services.count={services}", "slots_per_frame=3", "scheduler.backend=numpy")
    return resolve(load("paper-ttosc", [*sizes, *overrides]))


def exact(tasks: Floats, costs: FrameCosts) -> Floats:
    return scheduling.solve_shares(tasks, costs)[1]


def deployments(world: World, seed: int) -> Iterator[Bools]:
    rng = np.random.default_rng(seed)
    while True:
        # Any order of services, cut where the storage is full.
        order = rng.permuted(np.tile(np.arange(world.network.services), (world.network.edges, 1)), axis=1)
        sizes = world.network.service_bytes[order]
        fits = np.cumsum(sizes, axis=1) <= world.network.storage_bytes[:, None]
        deployed = np.zeros_like(fits)
        np.put_along_axis(deployed, order, fits, axis=1)
        yield deployed


def played(world: World, frames: int, seed: int = 0) -> list[FrameStep]:
    plan = deployments(world, seed)
    return [world.step_frame(next(plan), exact) for _ in range(frames)]


def payloads(steps: list[FrameStep]) -> list[tuple[str, bytes]]:
    """All that a run would commit, as it would be on the wire."""
    found = [slot for step in steps for slot in step.records(3)]
    return [(topic, records.payload_of(message)) for slot in found for topic, message in slot]


@pytest.mark.skipif(not NUMBA, reason="needs the extra fast")
@pytest.mark.parametrize("tasks", ["expected", "sampled"])
@pytest.mark.parametrize(("edges", "services"), [(1, 1), (1, 20), (5, 1), (5, 20), (30, 50)])
def test_a_compiled_world_commits_the_same_bytes(edges: int, services: int, tasks: str) -> None:
    plain = World(scenario(edges, services, f"tasks={tasks}"))
    compiled = World(scenario(edges, services, f"tasks={tasks}", "scheduler.backend=numba"))
    assert payloads(played(plain, 8)) == payloads(played(compiled, 8))
    assert plain.totals.facts() == compiled.totals.facts()
    assert plain.totals.histogram.tobytes() == compiled.totals.histogram.tobytes()


@pytest.mark.skipif(not NUMBA, reason="needs the extra fast")
def test_a_compiled_world_commits_the_same_bytes_on_unequal_links() -> None:
    rates = [[(m + 1) * (n + 2) * 1e6 for n in range(4)] for m in range(4)]
    plain = World(scenario(4, 10, f"edges.matrix_bps={rates}"))
    compiled = World(scenario(4, 10, f"edges.matrix_bps={rates}", "scheduler.backend=numba"))
    assert payloads(played(plain, 5)) == payloads(played(compiled, 5))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 8),
    st.sampled_from(["expected", "sampled", "queued"]),
    st.sampled_from(["static", "drift", "periodic"]),
    st.integers(0, 2**40),
)
def test_every_task_ends_once(edges: int, services: int, tasks: str, workload: str, seed: int) -> None:
    world = World(scenario(edges, services, f"tasks={tasks}", f"demand.workload={workload}", f"seed={seed}"))
    steps = played(world, 4, seed)
    arrived = sum(float(slot.tasks.sum()) for step in steps for slot in step.slots)
    totals = world.totals
    assert totals.completed + totals.tasks["dropped"] + totals.in_flight == pytest.approx(arrived)
    assert totals.histogram.sum() == pytest.approx(totals.completed)
    assert totals.tasks["dropped"] == 0.0
    for step in steps:
        assert step.row.reward_s == sum(slot.row.gain_s for slot in step.slots)


@pytest.mark.parametrize("tasks", ["expected", "sampled", "queued"])
def test_reset_goes_back_to_the_first_slot(tasks: str) -> None:
    world = World(scenario(3, 6, f"tasks={tasks}", "demand.workload=drift", "slot_s=10"))
    first = payloads(played(world, 6))
    world.reset()
    assert payloads(played(world, 6)) == first
    assert payloads(played(World(world.scenario), 6)) == first


def test_what_comes_is_known_without_being_played() -> None:
    world = World(scenario(3, 6))
    coming = world.frame_arrivals(2)
    steps = played(world, 3)
    assert (np.stack([slot.tasks for slot in steps[2].slots], axis=1) == coming).all()
    assert (world.counts == coming).all()


def test_arrivals_that_were_handed_out_do_not_change_later() -> None:
    world = World(scenario(2, 5))
    steps = played(world, 2)
    kept = steps[0].slots[0].tasks.copy()
    played(world, 90)
    assert (steps[0].slots[0].tasks == kept).all()


def test_decisions_do_not_move_arrivals() -> None:
    worlds = [World(scenario(3, 6, "tasks=sampled")) for _ in range(2)]
    one, other = (played(world, 5, seed) for world, seed in zip(worlds, (1, 2), strict=True))
    for mine, theirs in zip(one, other, strict=True):
        assert all((a.tasks == b.tasks).all() for a, b in zip(mine.slots, theirs.slots, strict=True))


def test_queued_tasks_pile_up_when_slots_are_too_short_for_them() -> None:
    def run(slot_s: float) -> tuple[float, float]:
        world = World(scenario(3, 6, "tasks=queued", "demand.activity=1.0", f"slot_s={slot_s}"))
        played(world, 20)
        return world.totals.in_flight, world.totals.cost_s / world.totals.completed

    (few, short_s), (many, long_s) = run(60.0), run(1.0)
    assert many > 10.0 * max(few, 1.0)
    assert long_s > 2.0 * short_s
