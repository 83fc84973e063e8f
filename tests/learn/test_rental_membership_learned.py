"""An edge server joins or leaves: neighbours' networks are adapted, everybody else's are the same, bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.n2o.joint import whole_tables  # noqa: E402
from agents.n2o.layout import Layout  # noqa: E402
from agents.n2o.learner import Learner, LocalNets, own_entries  # noqa: E402
from agents.n2o.membership import adapted, adapting, concerned  # noqa: E402
from agents.n2o.networks import drawn_weights  # noqa: E402
from agents.n2o.presets import Preset  # noqa: E402
from agents.n2o.replay import Slots  # noqa: E402
from emulator.cli import run_command  # noqa: E402
from emulator.model.graph import grid_positions, within, without  # noqa: E402

WHOLE = within(grid_positions(3, 3, 1.0), 1.0)
CENTRES = (0.5,) * 5, (0.3,) * 5
SMALL = Preset("madql", steps=20, copies=8, batch=16, capacity_steps=20, target_steps=7)


def layout(graph) -> Layout:
    return Layout(graph, 3, *CENTRES)


def nets_and_weights(graph, seed=1):
    nets = LocalNets(layout(graph), SMALL.hidden)
    return nets, drawn_weights(nets.widths, nets.entities, seed)


def seen(copies=32):
    return np.random.default_rng(1).normal(size=(copies, 9, 5)).astype(np.float32)


def tables(graph, weights):
    return whole_tables(LocalNets(layout(graph), SMALL.hidden).tables(weights, seen()), layout(graph)).local


def rent_alone(graph, weights):
    return own_entries(LocalNets(layout(graph), SMALL.hidden).tables(weights, seen()), layout(graph))


@pytest.mark.parametrize("edge", [0, 1, 4])
def test_a_new_neighbour_that_rents_nothing_changes_no_answer_and_strangers_notice_nothing(edge):
    before = without(WHOLE, (edge,))
    _, weights = nets_and_weights(before)
    made = adapted(weights, before, WHOLE, (edge,))
    assert set(concerned(before, WHOLE)) == {edge, *WHOLE.neighbours[edge]}
    old, new = tables(before, weights), tables(WHOLE, made)
    for other in range(9):
        if other in WHOLE.neighbours[edge]:
            place = 1 + WHOLE.neighbours[other].index(edge)
            narrow = np.take(new[other].values, 0, axis=1 + place)
            np.testing.assert_allclose(narrow, old[other].values, atol=1e-5)
            assert not np.allclose(new[other].values.take(2, axis=1 + place), old[other].values, atol=1e-5)
        elif other != edge:
            np.testing.assert_allclose(new[other].values, old[other].values, atol=1e-6)
            for name, tensor in weights.items():
                rows = min(len(tensor[other]), len(made[name][other]))
                assert torch.equal(made[name][other][:rows], tensor[other][:rows]), name
    strangers = [other for other in range(9) if other != edge and other not in WHOLE.neighbours[edge]]
    assert (rent_alone(before, weights)[:, strangers] == rent_alone(WHOLE, made)[:, strangers]).all()


@pytest.mark.parametrize("edge", [0, 1, 4])
def test_a_lost_neighbour_is_one_that_rents_nothing(edge):
    after = without(WHOLE, (edge,))
    _, weights = nets_and_weights(WHOLE)
    old, new = tables(WHOLE, weights), tables(after, adapted(weights, WHOLE, after))
    assert concerned(WHOLE, after) == WHOLE.neighbours[edge]
    for other in range(9):
        if other in WHOLE.neighbours[edge]:
            place = 1 + WHOLE.neighbours[other].index(edge)
            np.testing.assert_allclose(new[other].values, np.take(old[other].values, 0, axis=1 + place), atol=1e-5)
        elif other != edge:
            np.testing.assert_allclose(new[other].values, old[other].values, atol=1e-6)


def test_a_newcomer_begins_with_the_network_of_a_neighbour():
    before = without(WHOLE, (4,))
    _, weights = nets_and_weights(before)
    made = adapted(weights, before, WHOLE, (4,))
    states = seen()
    states[:, 4] = states[:, 1]
    found = whole_tables(LocalNets(layout(WHOLE), SMALL.hidden).tables(made, states), layout(WHOLE)).local
    old = whole_tables(LocalNets(layout(before), SMALL.hidden).tables(weights, states), layout(before)).local
    # Where no neighbour rents anything, it is worth to the newcomer what it is worth to its first neighbour.
    np.testing.assert_allclose(found[4].values[:, :, 0, 0, 0, 0], old[1].values[:, :, 0, 0], atol=1e-5)
    with pytest.raises(ValueError, match="edge server 0: no neighbour that was there before"):
        adapted(weights, without(WHOLE, (0, 1, 3)), WHOLE, (0, 1, 3))


def learned(learner: Learner, steps: int) -> Learner:
    random = np.random.default_rng(2)
    for step in range(steps):
        here = random.normal(size=(8, 9, 5)).astype(np.float32)
        rented = learner.decide(step, here)
        reward = random.normal(size=(8, 9)).astype(np.float32)
        learner.remember(Slots(here, rented, reward, here[::-1].copy(), np.zeros(8, dtype=bool)))
        learner.learn(step)
    return learner


def test_only_those_concerned_learn_and_explore():
    before = without(WHOLE, (4,))
    _, weights = nets_and_weights(before)
    made = adapted(weights, before, WHOLE, (4,))
    only = concerned(before, WHOLE)
    assert only == (1, 3, 4, 5, 7)
    exploring = dataclasses.replace(SMALL, least_epsilon=1.0)
    learner = learned(adapting(exploring, layout(WHOLE), 1, made, only), 20)
    others = [0, 2, 6, 8]
    for name, tensor in learner.weights.items():
        assert torch.equal(tensor[others], made[name][others]), name
        for agent in only:
            assert not torch.equal(tensor[agent], made[name][agent]), (name, agent)
    states = seen(200)
    explored = learner.decide(0, states[:8]) != learner.greedy(states[:8])
    assert not explored[:, others].any()
    assert explored[:, list(only)].any()


def test_the_command_measures_every_way_on_and_goes_on_where_it_was(tmp_path: Path, capsys):
    words = ["reproduce", "n2o-membership", "quickstart-rental", "--set", "edges.count=4", "--edge", "1",
             "--seeds", "2", "--before", "12", "--after", "6", "-o", str(tmp_path / "out")]  # fmt: skip
    assert run_command(words) == 0
    table = capsys.readouterr().out
    assert table.count("neighbours adapt") == 2
    assert table.count("nobody learns") == 2
    assert (tmp_path / "out" / "membership.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "out" / "join-seed-2.csv").unlink()
    kept = (tmp_path / "out" / "join-seed-1.csv").stat().st_mtime_ns
    assert run_command(words) == 0
    assert capsys.readouterr().out == table
    assert (tmp_path / "out" / "join-seed-1.csv").stat().st_mtime_ns == kept
    assert run_command([*words, "--edge", "9"]) == 0  # all is measured
    assert run_command([*words[:-1], str(tmp_path / "other"), "--edge", "9"]) == 2
    assert "--edge 9: there are edge servers 0..3" in capsys.readouterr().err
