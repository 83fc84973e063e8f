"""The PettingZoo face: the numbers of the world, refusals, seeds, and nothing that grows."""

import gc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

pytest.importorskip("pettingzoo")

from pettingzoo.test import parallel_api_test, parallel_seed_test

from agents.rollout import play
from emulator.assembly import resolve
from emulator.env import FrameEnv, exact_schedule, parallel_env
from emulator.scenario import Scenario
from emulator.scenario_file import load
from emulator.world import World

SMALL = ("edges.count=3", "services.count=6", "frames=4", "slots_per_frame=3", "scheduler.backend=numpy")


def small(*overrides: str) -> Scenario:
    return load("quickstart", [*SMALL, *overrides])


def fitting(env: FrameEnv, rng: np.random.Generator) -> dict[str, Any]:
    """A random deployment of one service for each edge server."""
    return {agent: np.eye(6, dtype=np.int8)[rng.integers(6)] for agent in env.edges}


@pytest.mark.parametrize("step", ["frame", "slot"])
def test_pettingzoo_accepts_the_environment(step: Any) -> None:
    parallel_api_test(parallel_env(small(), step=step), num_cycles=60)


@pytest.mark.parametrize("step", ["frame", "slot"])
def test_pettingzoo_finds_equal_episodes_for_equal_seeds(step: Any) -> None:
    parallel_seed_test(lambda: parallel_env(small(), step=step), num_cycles=40)


def test_an_episode_has_the_numbers_of_a_rollout() -> None:
    scenario = resolve(small("frames=6"))
    env = parallel_env(scenario)
    env.reset(seed=scenario.seed)
    for played in play(scenario):
        actions = {agent: row.astype(np.int8) for agent, row in zip(env.edges, played.step.deployed, strict=True)}
        observations, rewards, _, truncations, infos = env.step(actions)
        assert rewards == dict.fromkeys(env.edges, played.step.row.reward_s)
        assert infos["edge_0"]["delay_s"] == played.step.row.delay_s
        counts = np.stack([slot.tasks for slot in played.step.slots], axis=1)
        assert all((observations[agent] == counts[m]).all() for m, agent in enumerate(env.edges))
        assert truncations["edge_1"] == (played.step.row.frame == 5)
    assert env.agents == []


def test_exact_shares_slot_by_slot_earn_what_frames_earn_bit_by_bit() -> None:
    by_frame, by_slot = parallel_env(small()), parallel_env(small(), step="slot")
    by_frame.reset(seed=9)
    observed, infos = by_slot.reset(seed=9)
    schedule, rng = exact_schedule("numpy"), np.random.default_rng(0)
    while by_frame.agents:
        actions = fitting(by_frame, rng)
        reward = by_frame.step(actions)[1]["edge_0"]
        assert infos["edge_0"]["acts"]
        assert not infos["scheduler"]["acts"]
        observed, rewards, _, _, infos = by_slot.step({**actions, "scheduler": None})
        assert rewards["scheduler"] == 0.0
        gains = []
        for _ in range(3):
            assert infos["scheduler"]["acts"]
            shares = schedule(observed["scheduler"]["tasks"], by_slot.world.costs)
            observed, rewards, _, _, infos = by_slot.step({"scheduler": shares})
            assert infos["scheduler"]["refused"] == ""
            gains.append(rewards["edge_2"])
        assert sum(gains) == reward
    assert by_slot.agents == []


def test_what_does_not_fit_is_refused_and_the_one_before_stays() -> None:
    env = parallel_env(small("edges.storage_bytes=5e8"))
    env.reset(seed=1)
    first = fitting(env, np.random.default_rng(1))
    env.step(first)
    everything = dict.fromkeys(env.edges, np.ones(6, dtype=np.int8))
    infos = env.step({**everything, "edge_1": np.full(6, 7), "edge_2": np.ones(5)})[4]
    assert [infos[agent]["refused"] for agent in env.edges] == ["infeasible", "malformed", "malformed"]
    for agent in env.edges:
        assert (infos[agent]["deployed"] == (first[agent] != 0)).all()
    assert env.world.totals.frames == 2


def test_an_action_that_is_missing_is_an_error_that_names_the_agent() -> None:
    env = parallel_env(small())
    with pytest.raises(ValueError, match="call reset"):
        env.step({})
    env.reset()
    with pytest.raises(ValueError, match="no action of edge_1, edge_2"):
        env.step({"edge_0": np.zeros(6)})


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf, 0.0, "where it is not deployed"])
def test_a_bad_row_of_shares_is_refused_alone(bad: Any) -> None:
    env = parallel_env(small("demand.activity=1.0"), step="slot")
    env.reset(seed=2)
    observed = env.step(dict.fromkeys(env.edges, np.eye(6, dtype=np.int8)[0]))[0]
    tasks = observed["scheduler"]["tasks"]
    m, j = np.argwhere((tasks > 0.0) & (np.arange(6) > 0))[0]
    shares = exact_schedule("numpy")(tasks, env.world.costs)
    shares[m, :, j] = 0.0
    if bad == "where it is not deployed":
        shares[m, 0, j] = 1.0
    else:
        shares[m, -1, j] = bad
    infos = env.step({"scheduler": shares})[4]
    assert infos["scheduler"]["refused"] == "infeasible"
    assert infos["scheduler"]["refused_rows"] == 1


def test_rows_of_shares_are_scaled_to_one() -> None:
    rewards = []
    for factor in (1.0, 0.25):
        env = parallel_env(small(), step="slot")
        env.reset(seed=2)
        observed = env.step(dict.fromkeys(env.edges, np.eye(6, dtype=np.int8)[0]))[0]
        shares = exact_schedule("numpy")(observed["scheduler"]["tasks"], env.world.costs)
        rewards.append(env.step({"scheduler": shares * factor})[1]["scheduler"])
    assert rewards[0] == rewards[1]


def test_resets_without_a_seed_go_on_to_other_episodes_in_a_fixed_order() -> None:
    def three(env: FrameEnv) -> list[bytes]:
        seen = []
        for k in range(3):
            env.reset(seed=5 if k == 0 else None)
            env.step(fitting(env, np.random.default_rng(0)))
            seen.append(env.state().tobytes())
        return seen

    env = parallel_env(small())
    first = three(env)
    assert len(set(first)) == 3
    assert three(env) == first
    env.reset(seed=5)
    assert (env.world.arrivals(3) == World(msgspec.structs.replace(resolve(small()), seed=5)).arrivals(3)).all()


def test_two_thousand_resets_in_place_do_not_grow() -> None:
    env = parallel_env(small("edges.count=1"))
    process, rng = psutil.Process(), np.random.default_rng(0)

    def resets(count: int) -> tuple[int, int]:
        for k in range(count):
            env.reset(seed=k)
            if k % 100 == 0:
                env.step(fitting(env, rng))
        gc.collect()
        return len(gc.get_objects()), process.memory_info().rss

    objects, resident = resets(200)
    objects_after, resident_after = resets(2000)
    assert objects_after - objects < 200
    assert resident_after - resident < 4 * 2**20


def test_the_example_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[3] / "docs" / "env.md"
    for example in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(example, str(page), "exec"), {})  # the page's own code
    printed = capsys.readouterr().out
    assert "reward" in printed
    assert "gains" in printed


def test_without_pettingzoo_the_import_names_the_extra() -> None:
    program = "import sys; sys.modules['pettingzoo'] = None\nimport emulator.env"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "install the extra 'learn'" in result.stderr.strip().splitlines()[-1]


def test_an_agent_that_is_not_heard_is_told() -> None:
    lost = msgspec.structs.replace(small().agent, lost=((1, 2, 3),))
    with pytest.raises(ValueError, match=r"agent\.lost is of the agents of a run"):
        parallel_env(msgspec.structs.replace(small(), agent=lost))


@pytest.mark.parametrize(("arguments", "text"), [({"step": "task"}, "choose frame or slot"), ({"max_frames": 0}, "1")])
def test_a_wrong_argument_is_told(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parallel_env(small(), **arguments)
