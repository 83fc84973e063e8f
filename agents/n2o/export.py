"""Trained networks of the rental world as ONNX files, each compared with PyTorch when it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from agents.errors import AgentError
from agents.n2o.distil import Actors
from agents.n2o.files import OBSERVED, VERSION, ActorNetwork, Kind, Manifest, QNetwork, write_manifest
from agents.n2o.graphs import Tensors, actor_model, q_model, table_model, with_facts
from agents.n2o.layout import Layout, Singles
from agents.n2o.learner import LocalNets
from agents.n2o.networks import Weights, outputs_of
from emulator.errors import RunFolderError
from emulator.model.streams import Stream

TRIALS = 10_000
"""Observations on which each file is compared with PyTorch."""

AT_ONCE = 500

TOLERANCE = 1e-4
"""Largest difference to PyTorch, relative to the largest value where that is more than 1."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How files and PyTorch differ: largest difference, decisions that differ, and decisions that were compared."""

    worst: float
    other_choices: int
    choices: int

    def __str__(self) -> str:
        same = "the same" if not self.other_choices else f"all but {self.other_choices} the same"
        return f"as PyTorch within {self.worst:.0e}, {same} of {self.choices} decisions"


def export_q(weights: Weights, layout: Layout, hidden: tuple[int, ...], trained: str, out: Path) -> Compared:
    """Write tables and Q-networks of local agents.

    Args:
        weights: Of all agents.
        layout: Of the world.
        hidden: Widths of the hidden layers.
        trained: On what, how, how long.
        out: The folder to make.
    Raises: AgentError: a file differs from PyTorch; RunFolderError: the folder exists.
    """
    manifest = _manifest(layout, "q", trained)
    _make(out)
    for edge in range(layout.agents):
        own = _of(weights, edge)
        onnx.save(with_facts(table_model(own, layout, edge), manifest, edge), str(out / f"table-{edge}.onnx"))
        onnx.save(with_facts(q_model(own, layout, edge), manifest, edge), str(out / f"q-{edge}.onnx"))
    write_manifest(out, manifest)
    observations = np.stack([made_up(layout, edge) for edge in range(layout.agents)], axis=1)
    wanted = _tables(LocalNets(layout, hidden), weights, layout, observations)
    return _checked(
        out,
        [
            _compare_q(QNetwork(out, edge), edge, weights, layout, (observations[:, edge], wanted[edge]))
            for edge in range(layout.agents)
        ],
    )


def export_actors(actors: Actors, trained: str, out: Path) -> Compared:
    """Write distilled actors; as ``export_q``."""
    manifest = _manifest(actors.layout, "actor", trained)
    _make(out)
    for edge in range(actors.layout.agents):
        model = actor_model(_of(actors.weights, edge), actors.layout)
        onnx.save(with_facts(model, manifest, edge), str(out / f"actor-{edge}.onnx"))
    write_manifest(out, manifest)
    return _checked(out, [_compare_actor(out, edge, actors) for edge in range(actors.layout.agents)])


def made_up(layout: Layout, edge: int) -> Singles:
    """Observations of one edge server, far and wide, shape (trial, field)."""
    stream = Stream(1, f"/agent/{edge}", "trials", draws=2 * TRIALS * len(OBSERVED))
    normal = stream.normals(0, TRIALS * len(OBSERVED)).reshape(TRIALS, len(OBSERVED))
    return (np.array(layout.centre) + 1.5 * normal * np.array(layout.scale)).astype(np.float32)


def _manifest(layout: Layout, kind: Kind, trained: str) -> Manifest:
    return Manifest(
        version=VERSION,
        kind=kind,
        trained=trained,
        observed=OBSERVED,
        centre=layout.centre,
        scale=layout.scale,
        actions=layout.actions,
        neighbours=layout.graph.neighbours,
    )


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot be made ({error.strerror}); choose another --out") from None


def _of(weights: Weights, edge: int) -> Tensors:
    return {name: tensor.detach().numpy()[edge] for name, tensor in weights.items()}


def _tables(nets: LocalNets, weights: Weights, layout: Layout, observations: Singles) -> list[Singles]:
    """PyTorch's tables, shape (trial, row) for each agent; some trials at a time, since tables are large."""
    parts: list[list[Singles]] = [[] for _ in range(layout.agents)]
    for first in range(0, len(observations), AT_ONCE):
        for table in nets.tables(weights, layout.scaled(observations[first : first + AT_ONCE])):
            for agent, values in zip(table.agents.tolist(), table.values.numpy(), strict=True):
                parts[agent].append(values)
    return [np.concatenate(part) for part in parts]


def _compare_q(
    network: QNetwork, edge: int, weights: Weights, layout: Layout, trials: tuple[Singles, Singles]
) -> Compared:
    observations, wanted = trials
    found = network.table(observations)
    worst = float(np.abs(found - wanted).max() / max(1.0, float(np.abs(wanted).max())))
    others = int((found.argmax(axis=1) != wanted.argmax(axis=1)).sum())
    return Compared(max(worst, _compare_slopes(network, edge, weights, layout, observations)), others, len(wanted))


def _compare_slopes(network: QNetwork, edge: int, weights: Weights, layout: Layout, observations: Singles) -> float:
    """Largest difference to PyTorch's values and gradients, relative, at rentals that are not whole."""
    places = 1 + len(layout.graph.neighbours[edge])
    stream = Stream(1, f"/agent/{edge}", "places", draws=TRIALS * places)
    rented = (stream.uniforms(0).reshape(TRIALS, places) * (layout.actions - 1)).astype(np.float32)
    point = torch.from_numpy(rented).requires_grad_()
    coded = torch.zeros(TRIALS, 1 + layout.degree)
    coded[:, :places] = 2.0 * point / (layout.actions - 1) - 1.0
    own = {name: tensor.detach()[edge : edge + 1] for name, tensor in weights.items()}
    inputs = torch.cat([torch.from_numpy(layout.scaled(observations)), coded], dim=1)
    value = outputs_of(own, inputs[None])[0, :, 0]
    (slope,) = torch.autograd.grad(value.sum(), point)
    found_value, found_slope = network.slopes(observations, rented)
    # At a kink the slope is either side's; so close to one that rounding decides, few points are.
    off = np.abs(found_slope - slope.numpy()).max(axis=1) / max(1.0, float(slope.abs().max()))
    values = np.abs(found_value - value.detach().numpy()).max() / max(1.0, float(value.detach().abs().max()))
    return float(max(values, np.quantile(off, 0.999)))


def _compare_actor(out: Path, edge: int, actors: Actors) -> Compared:
    observations = made_up(actors.layout, edge)
    everyone = actors.layout.scaled(np.repeat(observations[:, None], actors.layout.agents, axis=1))
    with torch.no_grad():
        answers = actors.answers(everyone)
    wanted = answers[edge].numpy()
    network = ActorNetwork(out, edge)
    worst = float(np.abs(network.answers(observations) - wanted).max() / max(1.0, float(np.abs(wanted).max())))
    others = int((network.rented(observations) != actors.chosen(answers)[:, edge]).sum())
    return Compared(worst, others, len(wanted))


def _checked(out: Path, parts: list[Compared]) -> Compared:
    everything = Compared(
        max(part.worst for part in parts),
        sum(part.other_choices for part in parts),
        sum(part.choices for part in parts),
    )
    # Of ten thousands of values two can be the same but for the last bit; more than one such tie is an error.
    if not everything.worst <= TOLERANCE or everything.other_choices > everything.choices // TRIALS:
        raise AgentError(
            f"{out}: differs from PyTorch by {everything.worst:.1e}, and in {everything.other_choices} of "
            f"{everything.choices} decisions; do not use it"
        )
    return everything
