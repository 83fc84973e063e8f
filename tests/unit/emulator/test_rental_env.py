"""The rental world's PettingZoo face: the numbers of a rollout, refusals, seeds."""

import numpy as np
import pytest

pytest.importorskip("pettingzoo")

from pettingzoo.test import parallel_api_test, parallel_seed_test

from agents.rental_rollout import play
from emulator.assembly import resolve
from emulator.env import parallel_env
from emulator.rental_env import RentalEnv
from emulator.scenario_file import load


def made(*overrides: str) -> RentalEnv:
    env = parallel_env(load("paper-n2o", list(overrides)))
    assert isinstance(env, RentalEnv)
    return env


def test_pettingzoo_accepts_the_environment() -> None:
    parallel_api_test(made(), num_cycles=30)


def test_pettingzoo_finds_equal_episodes_for_equal_seeds() -> None:
    parallel_seed_test(made, num_cycles=20)


def test_an_episode_has_the_numbers_of_a_rollout() -> None:
    scenario = resolve(load("paper-n2o", ["frames=6", "agent.policy=random"]))
    env = made()
    observations, infos = env.reset(seed=scenario.seed)
    assert infos["edge_0"]["neighbours"] == ["edge_1", "edge_2"]
    for played in play(scenario):
        assert all((observations[f"edge_{m}"] == played.step.observed[0, m]).all() for m in range(4))
        units = played.step.units[0]
        observations, rewards, _, truncations, infos = env.step({f"edge_{m}": units[m] for m in range(4)})
        assert rewards == {f"edge_{m}": float(played.step.reward[0, m]) for m in range(4)}
        assert infos["edge_0"]["neighbour_units"].tolist() == units[[1, 2]].tolist()
        assert truncations["edge_1"] == (played.step.slot == 5)
    assert env.agents == []


def test_episodes_without_a_seed_follow_from_the_last_one_and_differ() -> None:
    def three() -> list[np.ndarray]:
        env = made()
        return [env.reset(seed=3 if k == 0 else None)[0]["edge_0"] for k in range(3)]

    one, two = three(), three()
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert (one[0] != one[1]).any()
    assert (one[1] != one[2]).any()


@pytest.mark.parametrize("action", [3, -1, 1.5, "2", None, np.zeros(2)])
def test_a_decision_that_is_none_is_refused(action: object) -> None:
    env = made()
    env.reset()
    with pytest.raises(ValueError, match=r"choose 0\.\.2"):
        env.step(dict.fromkeys(env.agents, action))


def test_a_step_needs_everybody_and_an_open_episode() -> None:
    env = made()
    with pytest.raises(ValueError, match="call reset"):
        env.step({})
    env.reset()
    with pytest.raises(ValueError, match="no action of edge_1, edge_2, edge_3"):
        env.step({"edge_0": 1})
    with pytest.raises(ValueError, match="at least 1"):
        parallel_env(load("paper-n2o"), max_frames=0)


def test_an_episode_lasts_as_the_scenario_says() -> None:
    assert made().max_slots == 6
    assert made("rental.random_start=false", "rental.episode_slots=0", "frames=9").max_slots == 9
