import numpy as np
import pytest
from agents_small import network, seen, setting, unseen

from agents.errors import AgentError
from agents.policy import make_policy, names, observes, per_edge_specs
from emulator.model.offloading import fits


def _decide(spec, world, observation, edge=0, seed=1):
    return make_policy(spec, setting(world, edge=edge, seed=seed)).decide(observation).tolist()


def test_cloud_only_deploys_nothing():
    assert not any(_decide("cloud-only", network(), seen(1, [[5, 5, 5]])))


def test_random_packs_until_nothing_more_fits():
    world = network(storage=(5.0,), sizes=(1.0, 2.0, 3.0, 4.0))
    for frame in range(30):
        deployed = np.array(_decide("random", world, unseen(frame, 0, 4)))
        room = 5.0 - world.service_bytes[deployed].sum()
        assert room >= 0.0
        assert (world.service_bytes[~deployed] > room).all()


def test_random_draws_anew_each_frame_and_differs_between_servers_and_seeds():
    world = network(storage=(5.0, 5.0), sizes=(1.0,) * 12)
    first = [_decide("random", world, unseen(frame, 0, 12)) for frame in range(5)]
    assert len({tuple(row) for row in first}) > 1
    assert first != [_decide("random", world, unseen(frame, 0, 12), edge=1) for frame in range(5)]
    assert first != [_decide("random", world, unseen(frame, 0, 12), seed=2) for frame in range(5)]
    assert first == [_decide("random", world, unseen(frame, 0, 12)) for frame in range(5)]


def test_popularity_deploys_what_was_asked_for_most_over_all_slots():
    assert _decide("popularity", network(), seen(1, [[1, 4, 2], [3, 1, 1]])) == [True, True, False]


def test_popularity_skips_what_does_not_fit_and_goes_on():
    world = network(storage=(2.0,), sizes=(1.0, 2.0, 1.0))
    assert _decide("popularity", world, seen(1, [[9, 5, 1]])) == [True, False, True]


def test_popularity_leaves_out_services_nobody_asked_for():
    assert _decide("popularity", network(storage=(3.0,)), seen(1, [[0, 2, 0]])) == [False, True, False]


def test_popularity_takes_the_first_of_equals():
    assert _decide("popularity", network(storage=(1.0,)), seen(1, [[0, 2, 2]])) == [False, True, False]


def test_popularity_of_an_unseen_frame_is_a_random_packing():
    world = network(storage=(2.0,))
    assert _decide("popularity", world, unseen(7, 0, 3)) == _decide("random", world, unseen(7, 0, 3))


def test_popularity_of_a_frame_without_tasks_deploys_nothing():
    assert not any(_decide("popularity", network(), seen(1, [[0, 0, 0]])))


def test_greedy_weighs_counts_by_cloud_delay_over_size():
    # Counts 4, 3, 2; cloud delays of 8.1, 16.1 and 8.1 s; sizes 2, 1, 1: scores 16.2, 48.3, 16.2.
    world = network(storage=(2.0,), sizes=(2.0, 1.0, 1.0), task_bytes=(1e6, 2e6, 1e6))
    assert _decide("greedy", world, seen(1, [[4, 3, 2]])) == [False, True, True]
    assert _decide("popularity", world, seen(1, [[4, 3, 2]])) == [True, False, False]


@pytest.mark.parametrize("spec", ["random", "popularity", "greedy"])
def test_a_local_policy_keeps_to_its_own_servers_storage(spec):
    world = network(storage=(1.0, 3.0), sizes=(1.0, 1.0, 1.0))
    for edge in (0, 1):
        deployed = np.array(_decide(spec, world, seen(3, [[3, 2, 1]]), edge=edge))
        assert fits(deployed, world.service_bytes, world.storage_bytes[edge])
        assert deployed.sum() == world.storage_bytes[edge]


@pytest.mark.parametrize("spec", ["random", "popularity", "greedy"])
def test_a_local_policy_without_an_edge_server_is_refused(spec):
    with pytest.raises(AgentError, match="one edge server"):
        make_policy(spec, setting(network()))


@pytest.mark.parametrize("spec", ["cloud-only:x", "random:2", "popularity:ewma", "greedy:1"])
def test_a_baseline_takes_no_argument(spec):
    with pytest.raises(AgentError, match="takes no argument"):
        make_policy(spec, setting(network(), edge=0))


def test_an_unknown_policy_is_refused_with_those_that_exist():
    with pytest.raises(AgentError, match=r"popularty.*no such policy.*popularity"):
        make_policy("popularty", setting(network(), edge=0))
    assert {
        "cloud-only",
        "greedy",
        "ils",
        "ils-warm",
        "local-search",
        "marginal-greedy",
        "oracle",
        "popularity",
    } <= set(names())


def test_a_policy_says_what_it_observes():
    assert observes("popularity") == "local"
    assert observes("ils:30:last") == "network"


def test_one_spec_serves_every_edge_server():
    assert per_edge_specs("popularity", 3) == ["popularity"] * 3


def test_named_edge_servers_have_their_own_spec_and_the_rest_the_other():
    assert per_edge_specs("1=greedy,popularity", 3) == ["popularity", "greedy", "popularity"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("7=greedy,popularity", "'7' is no edge server"),
        ("x=greedy,popularity", "'x' is no edge server"),
        ("1=greedy,1=random,popularity", "edge server 1 is named twice"),
        ("1=greedy", "nobody decides for edge 0, 2"),
        ("1=nothing,popularity", "no such policy"),
        ("nothing", "no such policy"),
    ],
)
def test_a_wrong_spread_of_specs_says_what_is_wrong(spec, reason):
    with pytest.raises(AgentError, match=reason):
        per_edge_specs(spec, 3)
