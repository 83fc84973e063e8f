"""What is exported decides as PyTorch does, slopes included, and says what it must be fed with."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")
onnx = pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from toy_rental import LINE, SQUARE, Toy, layout  # noqa: E402

from agents.errors import AgentError  # noqa: E402
from agents.n2o import export as exporting  # noqa: E402
from agents.n2o.distil import Actors, Labels, taught  # noqa: E402
from agents.n2o.export import export_actors, export_q  # noqa: E402
from agents.n2o.files import ActorNetwork, QNetwork, check_world, read_manifest  # noqa: E402
from agents.n2o.learner import LocalNets  # noqa: E402
from agents.n2o.networks import drawn_weights  # noqa: E402
from agents.n2o.presets import Distilling  # noqa: E402
from emulator.errors import RunFolderError  # noqa: E402

HIDDEN = (8, 32, 8)


@pytest.fixture(autouse=True)
def fewer_trials(request, monkeypatch):
    if "ten_thousand" not in request.node.name:
        monkeypatch.setattr(exporting, "TRIALS", 300)


def exported(tmp_path, graph=LINE):
    nets = LocalNets(layout(graph), HIDDEN)
    weights = drawn_weights(nets.widths, nets.entities, seed=3)
    return weights, nets, export_q(weights, layout(graph), HIDDEN, "made up", tmp_path / "q")


def test_tables_and_slopes_are_pytorchs_on_ten_thousand_observations(tmp_path):
    _, _, compared = exported(tmp_path)
    assert compared.other_choices == 0
    assert compared.choices == 30_000
    assert compared.worst < 1e-5


def test_one_observation_is_answered_as_many_are(tmp_path):
    exported(tmp_path, SQUARE)
    observations = exporting.made_up(layout(SQUARE), 1)[:50]
    network = QNetwork(tmp_path / "q", 1)
    together = network.table(observations)
    assert together.shape == (50, 27)
    for row, one in zip(together, observations, strict=True):
        np.testing.assert_allclose(network.table(one[None])[0], row, rtol=1e-5, atol=1e-6)


def test_a_value_at_whole_rentals_is_the_tables_row(tmp_path):
    exported(tmp_path)
    network = QNetwork(tmp_path / "q", 1)
    observations = exporting.made_up(layout(), 1)[:27]
    rentals = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=-1).astype(np.float32)
    values, _ = network.slopes(observations, rentals)
    np.testing.assert_allclose(values, network.table(observations)[np.arange(27), np.arange(27)], rtol=1e-4, atol=1e-5)


def test_a_slope_is_the_rise_over_a_small_step(tmp_path):
    exported(tmp_path)
    network = QNetwork(tmp_path / "q", 1)
    observations = exporting.made_up(layout(), 1)[:200]
    at, step = np.full((200, 3), 0.7, dtype=np.float32), 1e-2
    _, slopes = network.slopes(observations, at)
    for place in range(3):
        above, below = at.copy(), at.copy()
        above[:, place] += step
        below[:, place] -= step
        rise = (network.slopes(observations, above)[0] - network.slopes(observations, below)[0]) / (2 * step)
        assert np.median(np.abs(rise - slopes[:, place])) < 1e-3


def test_a_wrong_export_is_refused(tmp_path, monkeypatch):
    right = exporting.table_model
    monkeypatch.setattr(exporting, "table_model", lambda own, *rest: right({**own, "bias_3": own["bias_3"] + 1}, *rest))
    with pytest.raises(AgentError, match="differs from PyTorch"):
        exported(tmp_path)


def test_files_say_what_they_must_be_fed_with(tmp_path):
    exported(tmp_path)
    for name in ("table-1", "q-1"):
        facts = {each.key: each.value for each in onnx.load(str(tmp_path / "q" / f"{name}.onnx")).metadata_props}
        assert facts["neighbours"] == "[0, 2]"
        assert facts["version"] == "1"
        assert facts["edge"] == "1"
        assert facts["observed"].startswith("['delay_s'") or facts["observed"].startswith("('delay_s'")
        assert "0.3" in facts["scale"]


def test_a_folder_is_for_one_world_and_one_use_and_is_never_written_over(tmp_path):
    exported(tmp_path)
    manifest = read_manifest(tmp_path / "q", "q")
    check_world(tmp_path / "q", manifest, LINE, 3)
    with pytest.raises(AgentError, match="another world"):
        check_world(tmp_path / "q", manifest, SQUARE, 3)
    with pytest.raises(AgentError, match="actor networks are needed"):
        read_manifest(tmp_path / "q", "actor")
    with pytest.raises(AgentError, match="distill"):
        read_manifest(tmp_path / "none", "actor")
    with pytest.raises(RunFolderError):
        exported(tmp_path)


def rule(seen):
    """A teacher: two units where more than 0.6 is seen, none below 0.4."""
    return (seen[..., 1] > 0.4).astype(np.int64) + (seen[..., 1] > 0.6)


@pytest.mark.parametrize("actor", ["regression", "classification"])
def test_actors_learn_a_teachers_rule_and_their_files_decide_the_same(tmp_path, actor):
    distilling = Distilling(actor=actor, slots=800, rounds=1, round_slots=200, updates=400)
    actors = taught(distilling, layout(), Toy(copies=16), rule, seed=1)
    seen = Toy(copies=200, seed=5).begin(0)
    assert (actors.rented(seen) == rule(seen)).mean() > 0.9
    compared = export_actors(actors, "made up", tmp_path / "actors")
    assert (compared.other_choices, compared.choices) == (0, 900)
    for edge in range(3):
        assert np.array_equal(
            ActorNetwork(tmp_path / "actors", edge).rented(seen[:, edge]), actors.rented(seen)[:, edge]
        )


def test_pupils_are_asked_where_they_lead():
    """In a round of DAgger the pupils play and the teacher labels."""
    played = []

    class Watched(Toy):
        def step(self, rented):
            played.append(rented.copy())
            return super().step(rented)

    distilling = Distilling(slots=64, rounds=1, round_slots=64, updates=1)
    taught(distilling, layout(), Watched(), lambda seen: np.full(seen.shape[:2], 2), seed=1)
    assert len(played) == 16
    assert all((rented == 2).all() for rented in played[:8])
    assert not all((rented == 2).all() for rented in played[8:])


def test_with_labels_of_runs_nobody_plays_and_pupils_follow_these():
    """What a run's agents rented is learned, also where a teacher would have rented otherwise."""

    class Unplayed(Toy):
        def begin(self, episode):
            raise AssertionError("somebody plays")

    seen = np.concatenate([Toy(copies=200, seed=seed).begin(0) for seed in range(4)])
    labels = Labels(layout().scaled(seen), rule(seen))
    distilling = Distilling(rounds=0, updates=400)
    zeros = lambda seen: np.zeros(seen.shape[:2], dtype=np.int64)  # noqa: E731
    actors = taught(distilling, layout(), Unplayed(), zeros, seed=1, labels=labels)
    assert (actors.rented(seen) == rule(seen)).mean() > 0.9


def test_same_seed_same_actors():
    first, second = (Actors(Distilling(), layout(), 1) for _ in range(2))
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
