"""The memory of the agents: a ring, and batches that depend on seed, agent and frame only."""

from __future__ import annotations

import numpy as np

from agents.ttosc.replay import Replay

AGENTS, SLOTS, SERVICES = [0, 1, 2], 2, 4


def replay(capacity=5, agents=AGENTS, seed=1):
    return Replay(capacity, agents, SLOTS, SERVICES, seed)


def fill(memory, frames, agents=3):
    for frame in range(frames):
        seen = np.full((agents, SLOTS, SERVICES), float(frame))
        memory.add(seen, np.zeros((agents, SERVICES), dtype=np.bool_), 10.0 * frame, seen[:, 0], seen + 1.0)


def test_the_oldest_frame_goes_where_there_is_no_room():
    memory = replay()
    fill(memory, 7)
    assert len(memory) == 5
    found = memory.drawn(0, 200)
    assert set(found.reward_s.ravel().tolist()) == {20.0, 30.0, 40.0, 50.0, 60.0}


def test_what_was_kept_together_is_drawn_together():
    memory = replay()
    fill(memory, 5)
    found = memory.drawn(3, 50)
    assert found.seen.shape == (3, 50, SLOTS, SERVICES)
    assert np.array_equal(found.seen[:, :, 0, 0] * 10.0, found.reward_s)
    assert np.array_equal(found.seen_next, found.seen + 1.0)
    assert np.array_equal(found.gains_s, found.seen[:, :, 0])


def test_agents_draw_batches_of_their_own_whoever_is_beside_them():
    memory, alone = replay(), replay(agents=[2])
    fill(memory, 5)
    fill(alone, 5, agents=1)
    together = memory.drawn(4, 30).reward_s
    assert not np.array_equal(together[0], together[2])
    assert np.array_equal(together[2], alone.drawn(4, 30).reward_s[0])
    assert not np.array_equal(together, memory.drawn(5, 30).reward_s)
    assert np.array_equal(together, memory.drawn(4, 30).reward_s)


def test_a_restored_memory_goes_on_as_if_nothing_had_been():
    memory, other = replay(), replay()
    fill(memory, 7)
    other.restore({name: array.copy() for name, array in memory.arrays().items()})
    for each in (memory, other):
        fill(each, 1)
    assert np.array_equal(memory.drawn(0, 40).seen, other.drawn(0, 40).seen)
