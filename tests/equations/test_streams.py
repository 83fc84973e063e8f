"""Random numbers of a crowd: who is drawn with whom makes no difference."""

import numpy as np

from emulator.model.streams import CrowdStream


def test_a_crowd_may_be_split_and_draws_the_same() -> None:
    stream = CrowdStream(3, "/user", "walk", draws=6)
    together = stream.uniforms(7, 0, 50)
    assert together.shape == (50, 6)
    apart = np.concatenate([stream.uniforms(7, 0, 13), stream.uniforms(7, 13, 37)])
    assert (together == apart).all()


def test_members_slots_purposes_and_seeds_draw_different_numbers() -> None:
    streams = [CrowdStream(seed, "/user", purpose, draws=8) for seed in (1, 2) for purpose in ("walk", "demand")]
    drawn = np.concatenate([stream.uniforms(slot, 0, 40).ravel() for stream in streams for slot in range(5)])
    assert len(np.unique(drawn)) == drawn.size
    assert abs(drawn.mean() - 0.5) < 4 / np.sqrt(12 * drawn.size)
