"""Trained agents as ONNX: one file an edge server, written operator by operator and compared with PyTorch.

ONNX has a GRU of its own, so the graph is five nodes: scale, add an axis, GRU layers, output layer. Its gates come in
another order than PyTorch's (update, reset, new), and ``linear_before_reset`` is what makes the two the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from agents.actor_files import VERSION, Manifest, actor_path, write_manifest
from agents.checkpoint import TrainingFolder
from agents.errors import AgentError
from agents.onnx_actor import OnnxActor
from agents.policy import Setting
from agents.ttosc.checkpoint import Folder
from agents.ttosc.knapsack import packing_of
from agents.ttosc.networks import scaled_input, service_values
from agents.ttosc.presets import Preset
from emulator.assembly import build_network, resolve
from emulator.errors import RunFolderError
from emulator.model.world_digest import world_digest

OPSET = 17
IR_VERSION = 8
TOLERANCE = 1e-5
"""Largest difference to PyTorch, relative to the largest value where that is more than 1."""

TRIALS = 64

Tensors = dict[str, NDArray[np.float32]]


def export(folder: Folder, out: Path) -> float:
    """Write the actors of a training.

    Args:
        folder: Of the training.
        out: The folder to make.
    Returns: The largest difference to PyTorch that was seen, relative as for ``TOLERANCE``.
    Raises: AgentError: nothing was learned yet, or an actor differs from PyTorch; RunFolderError: no folder.
    """
    scenario, preset = resolve(folder.scenario()), folder.preset()
    tensors, frames = weights_of(folder)
    network = build_network(scenario)
    manifest = Manifest(
        version=VERSION,
        trained=f"{scenario.name}, preset {preset.name}, seed {scenario.seed}, {frames} frames",
        edges=network.edges,
        services=network.services,
        slots_per_frame=scenario.slots_per_frame,
        count_unit=preset.count_unit,
        size_unit_bytes=packing_of(network.service_bytes, network.storage_bytes).unit_bytes,
        world=world_digest(network, scenario.slots_per_frame),
    )
    try:
        out.mkdir(parents=True)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot be made ({error.strerror}); choose another --out") from None
    for edge in range(network.edges):
        own = {name: tensor[edge] for name, tensor in tensors.items()}
        onnx.save(_model(own, preset, manifest, edge), str(actor_path(out, edge)))
    write_manifest(out, manifest)
    worst = 0.0
    for edge in range(network.edges):
        setting = Setting(network, scenario.slots_per_frame, edge, scenario.seed)
        own = {name: tensor[edge] for name, tensor in tensors.items()}
        worst = max(worst, _difference(OnnxActor(setting, out), own, preset, setting))
    if not worst <= TOLERANCE:
        raise AgentError(f"{out}: differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}; do not use it")
    return worst


def weights_of(folder: TrainingFolder[Any, Any]) -> tuple[Tensors, int]:
    """The weights of the last checkpoint, and how many frames or rounds are in them.

    Raises: AgentError: there is none yet.
    """
    saved = folder.saved()
    if saved is None:
        raise AgentError(f"{folder.path}: has no checkpoint yet; let it train longer")
    done, arrays = saved
    found = {name.removeprefix("weights."): array for name, array in arrays.items() if name.startswith("weights.")}
    return {name: np.asarray(array, dtype=np.float32) for name, array in found.items()}, done


def _difference(actor: OnnxActor, tensors: Tensors, preset: Preset, setting: Setting) -> float:
    """Largest difference between a file and PyTorch over made-up frames."""
    shape = TRIALS, setting.slots_per_frame, setting.network.services
    # Whole tasks, few mostly, and sometimes far more than any training has seen.
    frames = np.floor(setting.generator(0).exponential(size=shape) * np.geomspace(1.0, 100.0, TRIALS)[:, None, None])
    own = {name: torch.from_numpy(tensor[None]) for name, tensor in tensors.items()}
    wanted = service_values(own, preset.layers, scaled_input(frames[None], preset.count_unit))[0].numpy()
    found = np.stack([actor.values(counts) for counts in frames])
    return float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))


def _model(tensors: Tensors, preset: Preset, manifest: Manifest, edge: int) -> Any:
    """The ONNX model of one agent, with what it must be fed with as metadata."""
    nodes, constants = _graph(tensors, preset)
    numbers = onnx.TensorProto.FLOAT
    slots, services = manifest.slots_per_frame, manifest.services
    graph = onnx.helper.make_graph(
        nodes,
        "ttosc_actor",
        [onnx.helper.make_tensor_value_info("observation", numbers, [slots, services])],
        [onnx.helper.make_tensor_value_info("values", numbers, [services])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgerig")
    facts = {"edge": edge, "normalisation": f"tasks / {manifest.count_unit:g}, inside the graph"}
    facts |= msgspec.to_builtins(manifest)
    onnx.helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    onnx.checker.check_model(model)
    return model


def _graph(tensors: Tensors, preset: Preset) -> tuple[list[Any], Tensors]:
    """Nodes, and the arrays they read."""
    node = onnx.helper.make_node
    constants: dict[str, Any] = {
        "unit": np.array(preset.count_unit, dtype=np.float32),
        "batch_axis": np.array([1]),
        "flat": np.array([1, preset.hidden]),
        "services": np.array([-1]),
    }
    nodes = [
        node("Div", ["observation", "unit"], ["scaled"]),
        node("Unsqueeze", ["scaled", "batch_axis"], ["sequence_0"]),
    ]
    for layer in range(preset.layers):
        constants[f"W_{layer}"] = _gates(tensors[f"weight_ih_l{layer}"])[None]
        constants[f"R_{layer}"] = _gates(tensors[f"weight_hh_l{layer}"])[None]
        biases = [_gates(tensors[f"bias_{part}_l{layer}"]) for part in ("ih", "hh")]
        constants[f"B_{layer}"] = np.concatenate(biases)[None]
        reads = [f"sequence_{layer}", f"W_{layer}", f"R_{layer}", f"B_{layer}"]
        made = [f"states_{layer}", f"last_{layer}"]
        nodes.append(node("GRU", reads, made, hidden_size=preset.hidden, linear_before_reset=1))
        nodes.append(node("Squeeze", [f"states_{layer}", "batch_axis"], [f"sequence_{layer + 1}"]))
    nodes.append(node("Reshape", [f"last_{preset.layers - 1}", "flat"], ["state"]))
    constants["output_weight"], constants["output_bias"] = tensors["output.weight"], tensors["output.bias"]
    nodes.append(node("Gemm", ["state", "output_weight", "output_bias"], ["row"], transB=1))
    nodes.append(node("Reshape", ["row", "services"], ["values"]))
    return nodes, constants


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of the gates in ONNX's order: update, reset, new."""
    reset, update, new = np.split(rows, 3)
    return np.ascontiguousarray(np.concatenate([update, reset, new]))
