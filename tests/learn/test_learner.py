"""Algorithm 1, line by line, on a world of two edge servers and four services."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.ttosc.learner import Learner  # noqa: E402
from agents.ttosc.presets import PRESETS, preset_of  # noqa: E402
from emulator.model.offloading import Network  # noqa: E402

EDGES, SLOTS, SERVICES = 2, 3, 4


def world(storage=2.0):
    return Network(
        storage_bytes=np.full(EDGES, storage),
        compute_hz=np.full(EDGES, 10e9),
        uplink_bps=np.full(EDGES, np.inf),
        link_bps=np.full(EDGES, 10e6),
        link_matrix_bps=None,
        cloud_bps=np.full(EDGES, 1e6),
        cloud_hz=10e9,
        service_bytes=np.ones(SERVICES),
        task_bytes=np.full(SERVICES, 1e6),
        task_cycles=np.full(SERVICES, 1e9),
    )


def learner(name="tuned", seed=1, **changes):
    preset = dataclasses.replace(preset_of(name), **{"hidden": 8, "batch": 4, **changes})
    return Learner(preset, world(), SLOTS, seed)


def drawn(frame, *shape):
    return np.random.Generator(np.random.Philox(key=frame)).integers(0, 9, shape).astype(float)


def feed(agents, frames, first=0):
    """Made-up frames; returns the losses."""
    losses = []
    for frame in range(first, first + frames):
        seen, after = drawn(frame, EDGES, SLOTS, SERVICES), drawn(frame + 1, EDGES, SLOTS, SERVICES)
        deployed, _ = agents.decide(frame, seen)
        gains = np.where(deployed, after.sum(axis=1) - 8.0, 0.0)
        agents.remember(seen, deployed, float(gains.sum()), gains, after)
        losses.append(agents.learn(frame))
    return losses


def test_without_an_observation_every_agent_packs_at_random():
    deployed, explored = learner().decide(0, np.zeros((EDGES, 0, SERVICES)))
    assert explored == EDGES
    assert deployed.sum(axis=1).tolist() == [2, 2], "a packing that nothing fits into any more"


def test_an_agent_explores_as_often_as_epsilon_says():
    agents = learner(epsilon=0.5, least_epsilon=0.5)
    explored = sum(agents.decide(frame, np.ones((EDGES, SLOTS, SERVICES)))[1] for frame in range(400))
    assert abs(explored / 800 - 0.5) < 0.07


def test_epsilon_and_learning_rate_follow_the_paper():
    literal, marginal = PRESETS["literal"], PRESETS["marginal"]
    assert (literal.epsilon_of(0), literal.epsilon_of(500), literal.epsilon_of(900)) == (0.5, 0.01, 0.01)
    assert literal.epsilon_of(250) == pytest.approx(0.255)
    assert literal.learning_rate_of(900) == 0.01
    assert marginal.learning_rate_of(marginal.halving_frames) == pytest.approx(marginal.learning_rate / 2)


def test_nothing_is_learned_before_a_batch_is_remembered():
    losses = feed(learner(), 5)
    assert np.isnan(losses[:3]).all()
    assert not np.isnan(losses[3:]).any()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_same_seed_same_weights_bit_for_bit(name):
    first, second, other = learner(name), learner(name), learner(name, seed=2)
    for agents in (first, second, other):
        feed(agents, 12)
    for key in first.weights:
        assert torch.equal(first.weights[key], second.weights[key])
        assert not torch.equal(first.weights[key], other.weights[key])


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_learning_goes_on_from_a_checkpoint_bit_for_bit(name):
    through, before, after = learner(name), learner(name), learner(name, seed=9)
    feed(through, 60)
    feed(before, 31)
    kept = {key: value.copy() for key, value in before.arrays().items()}
    after = learner(name)
    after.restore(kept)
    feed(after, 29, first=31)
    for key, value in through.arrays().items():
        assert np.array_equal(value, after.arrays()[key]), key


def test_the_target_network_takes_the_weights_every_delta_frames():
    agents = learner("literal", target_frames=6)
    feed(agents, 5)
    arrays = agents.arrays()
    assert not np.array_equal(arrays["weights.output.bias"], arrays["target.output.bias"])
    feed(agents, 1, first=5)
    arrays = agents.arrays()
    assert np.array_equal(arrays["weights.output.bias"], arrays["target.output.bias"])


def test_double_q_learning_chooses_by_the_weights_and_values_by_the_target():
    """One trajectory only, so the loss before the step is the squared error of the paper's target by hand."""
    agents = learner("literal", batch=1, buffer=1, target_frames=10_000)
    feed(agents, 3)  # weights and target differ now
    seen, after = drawn(50, EDGES, SLOTS, SERVICES), drawn(51, EDGES, SLOTS, SERVICES)
    deployed = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=np.bool_)
    agents.remember(seen, deployed, 7.0, np.zeros((EDGES, SERVICES)), after)
    tensors = agents.arrays()

    def values(prefix, counts):
        found = []
        for agent in range(EDGES):
            gru = torch.nn.GRU(SERVICES, 8, batch_first=True)
            with torch.no_grad():
                for name, parameter in gru.named_parameters():
                    parameter.copy_(torch.from_numpy(tensors[f"{prefix}.{name}"][agent]))
                state = gru(torch.from_numpy(counts[agent : agent + 1].astype(np.float32)))[0][0, -1].numpy()
            weight, bias = tensors[f"{prefix}.output.weight"][agent], tensors[f"{prefix}.output.bias"][agent]
            found.append(weight @ state + bias)
        return np.stack(found)

    own, chosen_by, valued_by = values("weights", seen), values("weights", after), values("target", after)
    rows = np.arange(EDGES)[:, None]
    best = np.argsort(-chosen_by, axis=1)[:, :2]  # two services of the same size fit
    worth = np.where(chosen_by[rows, best] > 0.0, valued_by[rows, best], 0.0).sum(axis=1)
    wrong = np.where(deployed, own, 0.0).sum(axis=1) - (7.0 + 0.9 * worth)
    assert agents.learn(5) == pytest.approx(float((wrong**2).mean()), rel=1e-4)


def test_marginal_credit_learns_each_service_by_itself():
    agents = learner("marginal", learning_rate=0.02, epsilon_frames=1, least_epsilon=0.3)
    seen = np.ones((EDGES, SLOTS, SERVICES))
    worth = np.array([[4.0, -1.0, 2.0, -3.0], [-2.0, 5.0, -1.0, 1.0]])
    for frame in range(300):
        deployed, _ = agents.decide(frame, seen)
        agents.remember(seen, deployed, 0.0, np.where(deployed, worth, 0.0), seen)
        agents.learn(frame)
    found = agents.best(seen[:, None])[:, 0]
    assert found.tolist() == (worth > 0.0).tolist()
