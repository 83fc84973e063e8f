"""Deep Q-learning on a rental world of a few lines."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from toy_rental import LINE, Toy, layout  # noqa: E402

from agents.errors import AgentError  # noqa: E402
from agents.n2o.copies import played  # noqa: E402
from agents.n2o.learner import Learner  # noqa: E402
from agents.n2o.presets import Preset, preset_of  # noqa: E402
from agents.n2o.replay import Replay, Slots  # noqa: E402

SMALL = Preset("madql", steps=40, copies=8, batch=16, capacity_steps=20, target_steps=7)
CENTRAL = dataclasses.replace(SMALL, method="centralized", learning_rate=1e-3, hidden=(32, 32))


def feed(learner, world, steps, first=0):
    """Play and learn; returns the losses."""
    losses = []
    seen = layout().scaled(world.begin(first // world.episode_slots))
    for step in range(first, first + steps):
        if step % world.episode_slots == 0:
            seen = layout().scaled(world.begin(step // world.episode_slots))
        rented = learner.decide(step, seen)
        rewards, after = world.step(rented)
        following = layout().scaled(after)
        ended = np.full(world.copies, (step + 1) % world.episode_slots == 0)
        learner.remember(Slots(seen, rented, rewards.astype(np.float32), following, ended))
        losses.append(learner.learn(step))
        seen = following
    return losses


@pytest.mark.parametrize("preset", [SMALL, CENTRAL, dataclasses.replace(SMALL, double=True)])
def test_learning_goes_on_from_a_checkpoint_bit_for_bit(preset):
    through, before, after = (Learner(preset, layout(), 1) for _ in range(3))
    feed(through, Toy(), 40)
    feed(before, Toy(), 24)
    after.restore({key: value.copy() for key, value in before.arrays().items()})
    feed(after, Toy(), 16, first=24)
    for key, value in through.arrays().items():
        assert np.array_equal(value, after.arrays()[key]), key


def test_another_seed_learns_other_weights():
    first, second = Learner(SMALL, layout(), 1), Learner(SMALL, layout(), 2)
    for learner in (first, second):
        feed(learner, Toy(), 8)
    assert not np.array_equal(first.arrays()["weights.weight_0"], second.arrays()["weights.weight_0"])


def test_the_loss_is_hubers_distance_to_reward_and_discounted_next_value_and_nothing_comes_after_the_end():
    preset = dataclasses.replace(SMALL, capacity_steps=1, batch=64, huber=0.2, discount=0.5)
    for ended in (False, True):
        learner = Learner(preset, layout(), 1)
        seen, after = (layout().scaled(np.full((8, 3, 5), value)) for value in (0.3, 0.8))
        rented = np.tile([1, 2, 0], (8, 1))
        slots = Slots(seen, rented, np.full((8, 3), 2.0, dtype=np.float32), after, np.full(8, ended))
        learner.remember(slots)
        value = learner.nets.taken(learner.weights, slots).detach().numpy()[:, 0]
        ahead = learner.nets.ahead(learner.weights, learner.weights, after).numpy()[:, 0]
        wrong = np.abs(value - (2.0 + (0.0 if ended else 0.5) * ahead))
        wanted = np.where(wrong < 0.2, 0.5 * wrong**2, 0.2 * (wrong - 0.1)).mean()
        assert learner.learn(0) == pytest.approx(float(wanted), rel=1e-5)


def test_one_agents_learning_does_not_depend_on_anothers_reward():
    """Not even by the cut of gradients, which is by network."""
    found = []
    for factor in (1.0, 1e6):
        learner = Learner(dataclasses.replace(SMALL, huber=1e9), layout(), 1)
        world = Toy()
        seen = layout().scaled(world.begin(0))
        rented = learner.decide(0, seen)
        rewards, after = world.step(rented)
        rewards[:, 2] *= factor
        learner.remember(Slots(seen, rented, rewards.astype(np.float32), layout().scaled(after), np.ones(8, bool)))
        learner.learn(0)
        found.append(learner.arrays()["weights.weight_0"].copy())
    assert np.array_equal(found[0][:2], found[1][:2])


@pytest.mark.parametrize(("steps", "epsilon"), [(10**9, 1.0), (1, 0.3)])
def test_agents_explore_as_often_as_epsilon_says(steps, epsilon):
    learner = Learner(dataclasses.replace(SMALL, steps=steps, least_epsilon=0.3), layout(), 1)
    seen = layout().scaled(Toy().begin(0))
    greedy = learner.greedy(seen)
    others = np.mean([learner.decide(step, seen) != greedy for step in range(1, 201)])
    assert others == pytest.approx(epsilon * 2 / 3, abs=0.03)


def test_epsilon_falls_over_the_first_three_tenths():
    preset = dataclasses.replace(SMALL, steps=1000, least_epsilon=0.1)
    assert [preset.epsilon_of(step) for step in (0, 150, 300, 999)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_the_learning_rate_falls_to_a_tenth():
    preset = preset_of("madql", 4, 100, double=False)
    assert preset.learning_rate_of(0) == pytest.approx(3e-3)
    assert preset.learning_rate_of(100) == pytest.approx(3e-4)


def test_replay_copies_what_it_keeps_and_forgets_the_oldest():
    replay = Replay(2, 1, 3, seed=1)
    seen = np.zeros((1, 3, 5), dtype=np.float32)
    for step in range(3):
        seen[:] = step
        replay.add(Slots(seen, np.full((1, 3), step), np.zeros((1, 3), np.float32), seen, np.zeros(1, bool)))
    batch = replay.drawn(0, 200)
    assert set(batch.seen[:, 0, 0].tolist()) == {1.0, 2.0}
    assert np.array_equal(batch.seen[:, 0, 0], batch.rented[:, 0])


def test_a_centralised_network_has_its_limit():
    with pytest.raises(AgentError, match="up to 9"):
        preset_of("centralized", 16, 100, double=False)


def judged(decide):
    """Mean reward of an episode."""
    return played(Toy(copies=64, seed=9), decide, 4).mean


def learned(method, joint=None):
    preset = preset_of(method, 3, 500, double=False)
    learner = Learner(preset, layout(), 1, joint)
    feed(learner, Toy(copies=16), 500)
    return learner


def best_joint(seen):
    """The joint rental of largest reward, which in this world needs no look ahead."""
    world = Toy(copies=len(seen))
    totals = []
    for rentals in JOINT:
        world._seen = seen
        totals.append(world.step(np.tile(rentals, (len(seen), 1)))[0].sum(axis=1))
    return JOINT[np.argmax(totals, axis=0)]


def best_by_tables(tables):
    """The joint rental of largest sum of all tables: the exact answer to P2."""
    total = 0.0
    for table in tables:
        for place, agent in enumerate(table.agents.tolist()):
            scope = [agent, *LINE.neighbours[agent]]
            total = total + table.values[place].numpy()[:, JOINT[:, scope] @ (3 ** np.arange(len(scope))[::-1])]
    return JOINT[np.argmax(total, axis=1)]


JOINT = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=-1)


def test_agents_that_hope_for_the_best_collide_and_those_that_are_coordinated_come_close_to_the_optimum():
    constant = max(judged(lambda seen, rent=rent: np.tile(rent, (64, 1))) for rent in JOINT)
    best = judged(best_joint)
    hoping, coordinated = learned("madql"), learned("coordinated", best_by_tables)
    alone = judged(lambda seen: hoping.greedy(layout().scaled(seen)))
    tables = judged(lambda seen: best_by_tables(hoping.nets.tables(hoping.weights, layout().scaled(seen))))
    together = judged(lambda seen: coordinated.greedy(layout().scaled(seen)))
    assert constant < alone < constant + 0.4 * (best - constant)
    assert tables > constant + 0.6 * (best - constant)
    assert together > constant + 0.6 * (best - constant)


def test_a_centralised_network_comes_close_to_the_optimum():
    constant = max(judged(lambda seen, rent=rent: np.tile(rent, (64, 1))) for rent in JOINT)
    learner = learned("centralized")
    found = judged(lambda seen: learner.greedy(layout().scaled(seen)))
    assert found > constant + 0.6 * (judged(best_joint) - constant)
