import numpy as np
import pytest
from agents_small import NO_REWARD, network, seen, setting, unseen

from agents.errors import AgentError
from agents.planners import EWMA_WEIGHT, Forecast
from agents.policy import make_policy
from emulator.model.offloading import Network, fits
from emulator.model.scheduling import deployment_costs

PLANNERS = ["marginal-greedy", "marginal-greedy:ewma", "local-search", "ils:5", "ils:5:last", "ils-warm:3"]


def _planner(spec, world, **more):
    return make_policy(spec, setting(world, **more))


def _fits(plan, world: Network):
    return all(fits(row, world.service_bytes, room) for row, room in zip(plan, world.storage_bytes, strict=True))


def test_marginal_greedy_deploys_each_service_where_it_is_asked_for():
    world = network(storage=(1.0, 1.0), sizes=(1.0, 1.0))
    plan = _planner("marginal-greedy", world).decide(seen(1, [[[4, 0]], [[0, 4]]]))
    assert plan.tolist() == [[True, False], [False, True]]


def test_marginal_greedy_leaves_room_when_an_idle_service_would_only_take_its_share():
    world = network(storage=(3.0, 3.0))
    plan = _planner("marginal-greedy", world).decide(seen(1, [[[4, 0, 0]], [[4, 0, 0]]]))
    assert plan.tolist() == [[True, False, False], [True, False, False]]


def test_marginal_greedy_plans_on_the_mean_of_the_slots():
    world = network(storage=(1.0, 1.0))
    halves = seen(1, [[[4, 0, 2], [0, 6, 2]], [[2, 2, 0], [0, 8, 0]]])
    mean = seen(1, [[[2, 3, 2]], [[1, 5, 0]]])
    policy = _planner("marginal-greedy", world)
    assert policy.decide(halves).tolist() == policy.decide(mean).tolist()


@pytest.mark.parametrize("spec", PLANNERS)
def test_an_unseen_first_frame_is_packed_at_random(spec):
    world = network(storage=(2.0, 1.0))
    plan = _planner(spec, world).decide(unseen(0, 2, 0, 3))
    assert plan.sum(axis=1).tolist() == [2, 1]
    assert _planner(spec, world, seed=1).decide(unseen(0, 2, 0, 3)).tolist() == plan.tolist()


@pytest.mark.parametrize("spec", PLANNERS)
def test_a_frame_without_any_task_tells_nothing_and_is_packed_at_random(spec):
    plan = _planner(spec, network()).decide(seen(3, np.zeros((2, 2, 3))))
    assert plan.sum(axis=1).tolist() == [2, 2]


@pytest.mark.parametrize("spec", PLANNERS)
def test_an_edge_server_that_reported_nothing_still_gets_a_plan_that_fits(spec):
    world = network(storage=(2.0, 1.0))
    plan = _planner(spec, world).decide(seen(3, [[[3, 2, 1]], [[0, 0, 0]]]))
    assert plan.any()
    assert _fits(plan, world)


@pytest.mark.parametrize("spec", PLANNERS)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_deciding_changes_nothing(spec, backend):
    pytest.importorskip("numba")
    rng = np.random.default_rng(4)
    world = network(storage=(3.0, 2.0, 4.0), sizes=(1.0, 2.0, 1.0, 1.0, 2.0))
    counts = [rng.poisson(3.0, (3, 2, 5)).astype(float) for _ in range(4)]
    plain, asked_often = (_planner(spec, world, backend=backend) for _ in range(2))
    for frame, each in enumerate(counts):
        observation = seen(frame, each)
        expected = plain.decide(observation)
        asked_often.decide(observation)
        asked_often.decide(seen(frame, counts[frame - 1]))  # another attempt at the same frame saw something else
        asked_often.decide(unseen(frame, 3, 0, 5))
        assert asked_often.decide(observation).tolist() == expected.tolist()
        asked_often.decide(unseen(frame, 3, 0, 5))
        plain.after_frame(observation, NO_REWARD)
        asked_often.after_frame(observation, NO_REWARD)


def test_a_plan_belongs_to_the_caller():
    world = network()
    policy = _planner("ils-warm:2", world)
    observation = seen(0, [[[3, 2, 1]], [[1, 2, 3]]])
    plan = policy.decide(observation)
    kept = plan.copy()
    plan[:] = False
    policy.after_frame(observation, NO_REWARD)
    assert policy.decide(observation).tolist() == kept.tolist()


def test_smoothing_gives_the_last_frame_its_weight():
    forecast = Forecast(0.3)
    assert forecast.of(np.zeros((1, 0, 2))) is None
    first, second = np.array([[[2.0, 0.0], [4.0, 0.0]]]), np.array([[[1.0, 10.0]]])
    np.testing.assert_allclose(forecast.of(first), [[3.0, 0.0]])
    forecast.learn(first)
    np.testing.assert_allclose(forecast.of(second), [[0.7 * 3.0 + 0.3, 3.0]])
    np.testing.assert_allclose(forecast.of(second), [[0.7 * 3.0 + 0.3, 3.0]])  # nothing was taken in
    forecast.learn(second)
    np.testing.assert_allclose(forecast.of(first), [[0.7 * 2.4 + 0.9, 2.1]])


def test_smoothing_passes_over_a_frame_that_was_not_seen():
    forecast = Forecast(EWMA_WEIGHT)
    forecast.learn(np.array([[[2.0, 5.0]]]))
    forecast.learn(np.zeros((1, 0, 2)))
    np.testing.assert_allclose(forecast.of(np.zeros((1, 0, 2))), [[2.0, 5.0]])


def test_weight_one_is_the_last_frame_alone():
    forecast = Forecast(1.0)
    forecast.learn(np.array([[[7.0]]]))
    assert forecast.of(np.array([[[2.0], [3.0]]])).tolist() == [[2.5]]


def test_smoothed_plan_follows_only_committed_frames():
    world = network(storage=(1.0,), sizes=(1.0, 1.0))
    policy, fresh = _planner("marginal-greedy:ewma", world), _planner("marginal-greedy:ewma", world)
    old, new = seen(1, [[[20, 0]]]), seen(2, [[[0, 9]]])
    policy.after_frame(old, NO_REWARD)
    assert policy.decide(new).tolist() == [[True, False]]  # .7 x 20 > .3 x 9
    assert fresh.decide(new).tolist() == [[False, True]]


def test_more_restarts_never_cost_more_and_none_costs_more_than_marginal_greedy():
    rng = np.random.default_rng(5)
    world = network(storage=(3.0, 3.0, 3.0), sizes=(1.0, 2.0, 1.0, 1.0, 2.0, 3.0))
    for frame in range(5):
        counts = rng.poisson(3.0, (3, 1, 6)).astype(float)
        specs = ["marginal-greedy", "local-search:last", "ils:5:last", "ils:20:last"]
        plans = np.stack([_planner(spec, world).decide(seen(frame, counts)) for spec in specs])
        cost_s = deployment_costs(world, counts[:, 0], plans)
        assert (np.diff(cost_s) <= 1e-9 * cost_s[0]).all()


def test_a_warm_start_never_does_worse_than_keeping_the_plan_in_force():
    rng = np.random.default_rng(6)
    world = network(storage=(3.0, 3.0, 3.0), sizes=(1.0, 2.0, 1.0, 1.0, 2.0, 3.0))
    policy, kept = _planner("ils-warm:0:last", world), None
    for frame in range(6):
        counts = rng.poisson(3.0, (3, 1, 6)).astype(float)
        plan = policy.decide(seen(frame, counts))
        if kept is not None:
            new_s, old_s = deployment_costs(world, counts[:, 0], np.stack([plan, kept]))
            assert new_s <= old_s * (1.0 + 1e-9)
        policy.after_frame(seen(frame, counts), NO_REWARD)
        kept = plan


@pytest.mark.parametrize("fast", [1, 2])
def test_the_objective_honours_each_servers_compute(fast):
    hz = np.where(np.arange(3) == fast, 10e9, 1e9)
    world = network(storage=(0.5, 1.0, 1.0), sizes=(1.0, 1.0), compute_hz=hz)
    plan = _planner("ils:5:last", world).decide(seen(1, [[[8, 1]], [[0, 0]], [[0, 0]]]))
    assert plan[fast].tolist() == [True, False]


def test_the_objective_honours_each_servers_link_and_uplink():
    counts = [[[8]], [[0]], [[0]]]
    base = {"storage": (0.5, 1.0, 1.0), "sizes": (1.0,)}  # the cell that asks has no room
    slow_link = network(**base, link_bps=(10e6, 2e6, 10e6))
    assert _planner("marginal-greedy", slow_link).decide(seen(1, counts)).tolist()[1:] == [[False], [True]]
    no_way_out = network(**base, uplink_bps=(1e4, np.inf, np.inf))
    assert not _planner("marginal-greedy", no_way_out).decide(seen(1, counts)).any()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_objective_honours_links_given_pair_by_pair(backend):
    pytest.importorskip("numba")
    # Only server 2 can be reached from cell 0, which has no room itself.
    matrix = [[1.0, 1e3, 1e8], [1e8, 1.0, 1e8], [1e8, 1e8, 1.0]]
    world = network(storage=(0.5, 1.0, 1.0), sizes=(1.0,), matrix=matrix)
    for spec in ("marginal-greedy", "ils:3:last"):
        plan = _planner(spec, world, backend=backend).decide(seen(1, [[[4]], [[0]], [[0]]]))
        assert plan.tolist() == [[False], [False], [True]]


def test_a_service_larger_than_every_server_is_never_deployed():
    world = network(storage=(1.0, 2.0), sizes=(3.0, 1.0))
    plan = _planner("ils:10:last", world).decide(seen(1, [[[9, 1]], [[9, 1]]]))
    assert not plan[:, 0].any()


def test_the_oracle_plans_on_what_is_to_come():
    world = network(storage=(1.0, 1.0), sizes=(1.0, 1.0))
    asked = []

    def upcoming(frame):
        asked.append(frame)
        return np.array([[[0.0, 4.0]], [[4.0, 0.0]]])

    plan = _planner("oracle", world, upcoming=upcoming).decide(seen(6, [[[4, 0]], [[0, 4]]]))
    assert asked == [6]
    assert plan.tolist() == [[False, True], [True, False]]


def test_the_oracle_is_refused_where_the_future_is_not_known():
    with pytest.raises(AgentError, match="use it with edgerig sim"):
        _planner("oracle", network())


WRONG = ("ils:x", "ils:-1", "ils:3:first", "ils:3:last:4", "ils:²", "ils-warm:last:3", "local-search:3", "oracle:3")


@pytest.mark.parametrize("spec", [*WRONG, "marginal-greedy:3"])
def test_an_argument_that_a_planner_does_not_know_is_refused(spec):
    with pytest.raises(AgentError, match=f"agent {spec.partition(':')[0]}:"):
        _planner(spec, network(), upcoming=lambda frame: np.zeros((2, 1, 3)))
