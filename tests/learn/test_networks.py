"""The batched networks are what PyTorch's own GRU computes, agent by agent."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.ttosc.networks import Shape, action_values, drawn_weights, scaled_input, service_values  # noqa: E402

AGENTS, BATCH, SLOTS, SERVICES, HIDDEN = 3, 4, 5, 6, 8


def counts(batch=BATCH):
    return np.random.Generator(np.random.Philox(key=1)).integers(0, 9, (AGENTS, batch, SLOTS, SERVICES)).astype(float)


def library_values(weights, layers, agent, inputs):
    """One agent's values by torch.nn, from the same tensors."""
    gru = torch.nn.GRU(SERVICES, HIDDEN, layers, batch_first=True)
    last = torch.nn.Linear(HIDDEN, SERVICES)
    with torch.no_grad():
        for name, parameter in gru.named_parameters():
            parameter.copy_(weights[name][agent])
        last.weight.copy_(weights["output.weight"][agent])
        last.bias.copy_(weights["output.bias"][agent])
        return last(gru(inputs)[0][:, -1])


@pytest.mark.parametrize("layers", [1, 2])
def test_every_agent_computes_what_a_network_of_its_own_would(layers):
    weights = drawn_weights(Shape(SERVICES, HIDDEN, layers), list(range(AGENTS)), seed=3)
    inputs = scaled_input(counts(), 5.0)
    found = service_values(weights, layers, inputs)
    assert found.shape == (AGENTS, BATCH, SERVICES)
    for agent in range(AGENTS):
        torch.testing.assert_close(found[agent], library_values(weights, layers, agent, inputs[agent]))


def test_gradients_of_one_agent_do_not_depend_on_the_others():
    weights = drawn_weights(Shape(SERVICES, HIDDEN, 1), list(range(AGENTS)), seed=3)
    for tensor in weights.values():
        tensor.requires_grad_()
    service_values(weights, 1, scaled_input(counts(), 5.0))[1].square().sum().backward()
    for tensor in weights.values():
        assert tensor.grad[1].abs().sum() > 0.0
        assert not tensor.grad[[0, 2]].any()


def test_weights_belong_to_seed_and_agent_and_to_nothing_else():
    shape = Shape(SERVICES, HIDDEN, 1)
    everyone, one = drawn_weights(shape, [0, 1, 2], seed=3), drawn_weights(shape, [2], seed=3)
    other = drawn_weights(shape, [2], seed=4)
    for name in everyone:
        assert torch.equal(everyone[name][2], one[name][0])
        assert not torch.equal(everyone[name][1], one[name][0])
        assert not torch.equal(other[name], one[name])
        assert everyone[name].abs().max() <= HIDDEN**-0.5


def test_the_input_is_scaled_before_the_network_sees_it():
    assert torch.equal(scaled_input(np.full((1, 1, 1, 2), 10.0), 5.0), torch.full((1, 1, 1, 2), 2.0))


def test_the_value_of_a_deployment_is_the_sum_of_its_services_values():
    values = torch.tensor([[[1.0, -2.0, 4.0]]])
    assert action_values(values, torch.tensor([[[1.0, 0.0, 1.0]]])).item() == 5.0
    assert action_values(values, torch.zeros(1, 1, 3)).item() == 0.0
