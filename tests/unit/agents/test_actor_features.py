"""What a service-shared actor reads."""

from __future__ import annotations

import numpy as np
from agents_small import network

from agents.ttosc.features import (
    AVERAGES,
    FACTS,
    INPUTS,
    MEMORIES,
    averages_of,
    blank_state,
    facts_of,
    features_of,
    state_after,
)

WORLD = network(storage=(3.0, 4.0, 5.0), sizes=(1.0, 2.0, 1.0, 1.0))
MEANS = np.random.Generator(np.random.Philox(key=3)).random((6, 4))


def remembered(means):
    state = blank_state(means.shape[1])
    for mean in means:
        state = state_after(state, mean)
    return averages_of(state, means[-1])


def test_each_average_is_weighted_as_its_memory_says_and_its_weights_add_up_to_one():
    found = remembered(MEANS)
    assert found.shape == (AVERAGES, 4)
    assert np.array_equal(found[0], MEANS[-1])
    age = np.arange(len(MEANS))[::-1]
    for weight, average in zip(MEMORIES, found[1:], strict=True):
        weights = weight * (1.0 - weight) ** age
        assert np.allclose(average, weights @ MEANS / weights.sum())


def test_after_one_frame_every_average_is_that_frame():
    assert np.allclose(remembered(MEANS[:1]), MEANS[:1])


def test_services_may_be_renamed_but_for_the_order_of_their_homes():
    facts = facts_of(WORLD, 1)
    order = np.array([2, 0, 3, 1])
    averages = remembered(MEANS)
    found = features_of(averages[:, order], facts[order])
    assert found.shape == (4, INPUTS)
    assert np.allclose(found, features_of(averages, facts)[order], rtol=1e-12)


def test_every_service_has_each_server_at_one_place_of_its_order():
    ranks = np.stack([facts_of(WORLD, edge)[:, FACTS - 1] for edge in range(3)])
    assert np.array_equal(np.sort(ranks, axis=0), np.tile([[0.0], [0.5], [1.0]], 4))
    first = np.stack([facts_of(WORLD, edge)[:, 4] for edge in range(3)])
    assert np.array_equal(first, ranks == 0.0)


def test_nothing_seen_gives_numbers_all_the_same():
    features = features_of(averages_of(blank_state(4), np.zeros(4)), facts_of(WORLD, 0))
    assert np.isfinite(features).all()
