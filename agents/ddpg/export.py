"""The trained actor as ONNX: one file, written operator by operator and compared with PyTorch.

Neither the number of edge servers nor that of services is written into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from agents.ddpg.features import FIGURES, VERSION, Instances, pairs_of
from agents.ddpg.folder import Folder
from agents.ddpg.networks import FORBIDDEN, pair_values, shares_of
from agents.ddpg.presets import Preset
from agents.ddpg.scheduler import KIND, Ddpg
from agents.errors import AgentError
from emulator.errors import RunFolderError
from emulator.model.streams import Stream

OPSET: Final = 17
IR_VERSION: Final = 8
TOLERANCE: Final = 1e-5
"""Largest difference of a share to PyTorch."""

SIZES: Final = (1, 2, 5, 9)
"""Edge servers of the made-up problems that the file is compared on."""

PROBLEMS: Final = 64

Tensors = dict[str, NDArray[np.float32]]


def export(folder: Folder, file: Path) -> float:
    """Write the actor of a training.

    Args:
        folder: Of the training.
        file: The file to make.
    Returns: The largest difference of a share to PyTorch that was seen.
    Raises: AgentError: nothing was learned yet, or the file differs from PyTorch; RunFolderError: no file.
    """
    scenario, preset, saved = folder.scenario(), folder.preset(), folder.saved()
    if saved is None:
        raise AgentError(f"{folder.path}: has no checkpoint yet; let it train longer")
    if file.exists():
        raise RunFolderError(f"{file}: exists already; choose another --out")
    mark = "actor.weights."
    tensors: Tensors = {
        name.removeprefix(mark): np.asarray(array, dtype=np.float32)
        for name, array in saved[1].items()
        if name.startswith(mark)
    }
    slots = saved[0] * scenario.slots_per_frame
    trained = f"{scenario.name}, {preset.worlds} worlds, {scenario.edges.count} edge servers, seed {scenario.seed}"
    facts = {"kind": KIND, "features": VERSION, "trained": f"{trained}, {slots} slots"}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(_model(tensors, preset, facts), str(file))
    except OSError as error:
        raise RunFolderError(f"{file}: cannot be made ({error.strerror}); choose another --out") from None
    worst = max(_difference(Ddpg(file), tensors, preset, edges) for edges in SIZES)
    if not worst <= TOLERANCE:
        raise AgentError(f"{file}: differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}; do not use it")
    return worst


def _difference(actor: Ddpg, tensors: Tensors, preset: Preset, edges: int) -> float:
    """Largest difference of a share between the file and PyTorch over made-up problems."""
    generator = Stream(0, "/scheduler", "export", draws=1).generator(edges)
    shape = PROBLEMS, edges
    hosts = generator.random(shape) < 0.5
    pairs = pairs_of(
        Instances(
            np.floor(generator.exponential(5.0, shape)),
            hosts,
            np.where(hosts, generator.random(shape), 0.0),
            5.0 * generator.random((*shape, edges)) * ~np.eye(edges, dtype=np.bool_),
            10.0 * generator.random(shape),
        )
    )
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    figures, allowed, weight = (torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in pairs)
    wanted = shares_of(pair_values(weights, preset.layers, figures, allowed, weight), allowed).numpy()
    return float(np.abs(actor.shares(pairs) - wanted).max())


def _model(tensors: Tensors, preset: Preset, facts: dict[str, object]) -> Any:
    """The ONNX model, with what it is as metadata."""
    nodes, constants = _graph(preset)
    numbers, info = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    table = ["problem", "edge", "target"]
    graph = onnx.helper.make_graph(
        nodes,
        "ddpg_actor",
        [
            info("figures", numbers, [*table, FIGURES]),
            info("allowed", numbers, table),
            info("weight", numbers, table[:2]),
        ],
        [info("shares", numbers, table)],
        [onnx.numpy_helper.from_array(array, name) for name, array in {**tensors, **constants}.items()],
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgerig")
    onnx.helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    onnx.checker.check_model(model)
    return model


def _graph(preset: Preset) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Nodes, and the constants they read beside the weights; ``networks.pair_values`` and ``shares_of``."""
    node = onnx.helper.make_node
    constants: dict[str, NDArray[Any]] = {
        "axis_1": np.array([1]),
        "axis_2": np.array([2]),
        "axis_3": np.array([3]),
        "axes_23": np.array([2, 3]),
        "half": np.array(0.5, dtype=np.float32),
        "forbidden": np.array(FORBIDDEN, dtype=np.float32),
    }
    nodes = [
        node("ReduceSum", ["allowed", "axis_2"], ["targets"], keepdims=1),
        node("Div", ["allowed", "targets"], ["part"]),
        node("Unsqueeze", ["part", "axis_3"], ["in_row"]),
        node("Unsqueeze", ["weight", "axes_23"], ["in_column"]),
    ]
    state = "figures"
    for layer in range(preset.layers):

        def own(name: str, layer: int = layer) -> str:
            return f"{name}_{layer}"

        for mean, of, over, axis in (
            ("row_mean", state, "in_row", "axis_2"),
            ("column_mean", state, "in_column", "axis_1"),
            ("all_mean", own("row_mean"), "in_column", "axis_1"),
        ):
            nodes.append(node("Mul", [of, over], [own(f"{mean}_parts")]))
            nodes.append(node("ReduceSum", [own(f"{mean}_parts"), axis], [own(mean)], keepdims=1))
        added = own("bias")
        for part, of in (("all", "all_mean"), ("column", "column_mean"), ("row", "row_mean"), ("pair", "")):
            nodes.append(node("MatMul", [own(of) if of else state, own(part)], [own(f"{part}_made")]))
            nodes.append(node("Add", [own(f"{part}_made"), added], [own(f"{part}_sum")]))
            added = own(f"{part}_sum")
        state = own("state")
        nodes.append(node("Relu", [added], [state]))
    nodes += [
        node("MatMul", [state, "output"], ["raw"]),
        node("Add", ["raw", "output_bias"], ["table"]),
        node("Squeeze", ["table", "axis_3"], ["logits"]),
        node("Greater", ["allowed", "half"], ["may"]),
        node("Where", ["may", "logits", "forbidden"], ["masked"]),
        node("Softmax", ["masked"], ["shares"], axis=2),
    ]
    return nodes, constants
