"""Networks of the rental world compute what networks of one's own would, and their tables hold every local action."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from toy_rental import LINE, SQUARE, layout  # noqa: E402

from agents.n2o.learner import CentralNet, LocalNets, own_entries  # noqa: E402
from agents.n2o.networks import drawn_weights, outputs_of  # noqa: E402
from agents.n2o.replay import Slots  # noqa: E402

STATES = 6


def drawn(*shape, seed=1):
    return np.random.Generator(np.random.Philox(key=seed)).normal(size=shape).astype(np.float32)


def nets(graph=LINE, actions=3, joint=None):
    found = LocalNets(layout(graph, actions), (8, 32, 8), joint)
    return found, drawn_weights(found.widths, found.entities, seed=3)


def library_network(weights, agent):
    """One agent's network by torch.nn, from the same tensors."""
    layers = []
    for layer in range(len(weights) // 2):
        matrix, bias = weights[f"weight_{layer}"][agent], weights[f"bias_{layer}"][agent]
        linear = torch.nn.Linear(*matrix.shape)
        with torch.no_grad():
            linear.weight.copy_(matrix.t())
            linear.bias.copy_(bias)
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def slots(graph, actions=3):
    rented = np.random.Generator(np.random.Philox(key=2)).integers(0, actions, (STATES, graph.edges))
    seen = drawn(STATES, graph.edges, 5)
    reward = drawn(STATES, graph.edges, seed=4)
    return Slots(seen, rented, reward, drawn(STATES, graph.edges, 5, seed=5), np.zeros(STATES, dtype=np.bool_))


def test_every_agent_computes_what_a_network_of_its_own_would():
    weights = drawn_weights((7, 8, 32, 8, 1), ["/agent/0", "/agent/1", "/agent/2"], seed=3)
    inputs = torch.from_numpy(drawn(3, 5, 7))
    found = outputs_of(weights, inputs)
    for agent in range(3):
        torch.testing.assert_close(found[agent], library_network(weights, agent)(inputs[agent]))


def test_weights_belong_to_seed_and_agent_and_to_nothing_else():
    everyone = drawn_weights((7, 8, 1), ["/agent/0", "/agent/1"], seed=3)
    one, other = drawn_weights((7, 8, 1), ["/agent/1"], seed=3), drawn_weights((7, 8, 1), ["/agent/1"], seed=4)
    for name, tensor in everyone.items():
        assert torch.equal(tensor[1], one[name][0])
        assert not torch.equal(tensor[0], one[name][0])
        assert not torch.equal(other[name], one[name])
    assert everyone["weight_0"].abs().max() <= 7**-0.5


@pytest.mark.parametrize(("graph", "actions"), [(LINE, 3), (SQUARE, 3), (LINE, 4)])
def test_a_row_of_a_table_is_the_value_of_that_local_action(graph, actions):
    local, weights = nets(graph, actions)
    batch = slots(graph, actions)
    tables = local.tables(weights, batch.seen)
    assert sum(len(table.agents) for table in tables) == graph.edges
    for table in tables:
        for place, agent in enumerate(table.agents.tolist()):
            scope = [agent, *graph.neighbours[agent]]
            rows = itertools.product(range(actions), repeat=len(scope))
            for row, rentals in enumerate(rows):
                rented = np.zeros_like(batch.rented)
                rented[:, scope] = rentals
                wanted = local.taken(weights, batch._replace(rented=rented))[agent]
                torch.testing.assert_close(table.values[place, :, row], wanted)


def test_an_agent_takes_its_own_entry_of_its_best_local_action():
    local, weights = nets()
    batch = slots(LINE)
    found = local.greedy(weights, batch.seen)
    assert np.array_equal(found, own_entries(local.tables(weights, batch.seen), layout()))
    for agent, others in enumerate(LINE.neighbours):
        scope = [agent, *others]
        values = []
        for rentals in itertools.product(range(3), repeat=len(scope)):
            rented = np.zeros_like(batch.rented)
            rented[:, scope] = rentals
            values.append(local.taken(weights, batch._replace(rented=rented))[agent].numpy())
        best = np.argmax(values, axis=0)
        assert np.array_equal(found[:, agent], best // 3 ** len(others))


def test_what_neighbours_do_beyond_ones_own_does_not_change_a_value():
    local, weights = nets()
    batch = slots(LINE)
    other = batch.rented.copy()
    other[:, 2] = (other[:, 2] + 1) % 3
    before, after = local.taken(weights, batch), local.taken(weights, batch._replace(rented=other))
    assert torch.equal(before[0], after[0]), "two hops away"
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("double", [False, True])
def test_the_next_value_is_the_best_of_the_table(double):
    local, target = nets()
    chooser = drawn_weights(local.widths, local.entities, seed=8) if double else target
    seen = slots(LINE).seen
    found = local.ahead(chooser, target, seen)
    for table, chosen in zip(local.tables(target, seen), local.tables(chooser, seen), strict=True):
        for place, agent in enumerate(table.agents.tolist()):
            rows = chosen.values[place].numpy().argmax(axis=1)
            wanted = table.values[place].numpy()[np.arange(STATES), rows]
            assert np.array_equal(found[agent].numpy(), wanted)


def test_a_coordinated_agent_looks_ahead_at_the_joint_rental():
    joint = np.tile([2, 0, 1], (STATES, 1))
    local, weights = nets(joint=lambda tables: joint)
    batch = slots(LINE)
    assert np.array_equal(local.greedy(weights, batch.seen), joint)
    wanted = local.taken(weights, batch._replace(rented=joint))
    assert torch.equal(local.ahead(weights, weights, batch.seen), wanted)


def test_the_centralised_network_has_an_output_for_each_joint_rental():
    net = CentralNet(layout(), (16, 8))
    weights = drawn_weights(net.widths, net.entities, seed=3)
    assert net.widths == (15, 16, 8, 27)
    batch = slots(LINE)
    outputs = library_network(weights, 0)(torch.from_numpy(batch.seen.reshape(STATES, -1))).detach()
    codes = batch.rented @ np.array([9, 3, 1])
    torch.testing.assert_close(net.taken(weights, batch)[0], outputs[torch.arange(STATES), torch.from_numpy(codes)])
    assert np.array_equal(net.greedy(weights, batch.seen) @ np.array([9, 3, 1]), outputs.argmax(dim=1).numpy())
    torch.testing.assert_close(net.ahead(weights, weights, batch.seen)[0], outputs.max(dim=1).values)
    assert np.array_equal(net.rewards(batch)[0], batch.reward.sum(axis=1))
