"""Distilled actors as ONNX, operator by operator: a frame, the actor's state and the facts of the services in, values
and the next state out.

The features are computed inside the graph, in the order of ``features``; so whoever runs an actor needs to know nothing
but the facts. An actor for any world is one file, with the number of slots and of services left open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch

from agents.actor_files import SHARED, VERSION, Manifest, actor_path, write_manifest
from agents.errors import AgentError
from agents.onnx_actor import OnnxActor
from agents.policy import Observation, Reward, Setting
from agents.ttosc.checkpoint import DistilledFolder
from agents.ttosc.export import IR_VERSION, OPSET, TOLERANCE, TRIALS, Tensors, weights_of
from agents.ttosc.features import (
    AVERAGES,
    FACTS,
    MEMORIES,
    PLAIN,
    STATE,
    averages_of,
    blank_state,
    facts_of,
    features_of,
    state_after,
)
from agents.ttosc.knapsack import packing_of
from agents.ttosc.student import student_values
from emulator.assembly import build_network, resolve
from emulator.errors import RunFolderError
from emulator.model.world_digest import world_digest

OWN = ("own.hidden", "own.value")


def export_student(folder: DistilledFolder, out: Path) -> float:
    """Write the actors of a distillation.

    Args:
        folder: Of the distillation.
        out: The folder to make.
    Returns: The largest difference to PyTorch that was seen, relative as for ``TOLERANCE``.
    Raises: AgentError: nothing was learned yet, or an actor differs from PyTorch; RunFolderError: no folder.
    """
    scenario, how = resolve(folder.scenario()), folder.preset()
    tensors, rounds = weights_of(folder)
    network = build_network(scenario)
    where = f"{how.worlds} other worlds, " if how.worlds else ""
    manifest = Manifest(
        version=VERSION,
        trained=f"{scenario.name}, distilled from {how.teacher}, {where}seed {scenario.seed}, "
        f"{scenario.frames} frames, {rounds} rounds",
        edges="any" if how.worlds else network.edges,
        services="any" if how.worlds else network.services,
        slots_per_frame=scenario.slots_per_frame,
        count_unit=1.0,
        size_unit_bytes=packing_of(network.service_bytes, network.storage_bytes).unit_bytes,
        world=world_digest(network, scenario.slots_per_frame),
    )
    try:
        out.mkdir(parents=True)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot be made ({error.strerror}); choose another --out") from None
    if how.worlds:
        onnx.save(_model(tensors, manifest), str(out / SHARED))
    else:
        for edge in range(network.edges):
            onnx.save(_model(_own(tensors, edge), manifest), str(actor_path(out, edge)))
    write_manifest(out, manifest)
    worst = 0.0
    for edge in range(network.edges):
        setting = Setting(network, scenario.slots_per_frame, edge, scenario.seed)
        worst = max(worst, _difference(OnnxActor(setting, out), _own(tensors, edge), setting))
    if not worst <= TOLERANCE:
        raise AgentError(f"{out}: differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}; do not use it")
    return worst


def _own(tensors: Tensors, edge: int) -> Tensors:
    """The tensors of one server: the shared ones, and its row of those that are not."""
    return {name: tensor[edge] if name in OWN else tensor for name, tensor in tensors.items()}


def _difference(actor: OnnxActor, tensors: Tensors, setting: Setting) -> float:
    """Largest difference between a file and PyTorch over made-up frames that the actor remembers."""
    edge, services = setting.edge or 0, setting.network.services
    shape = TRIALS, setting.slots_per_frame, services
    frames = np.floor(setting.generator(0).exponential(size=shape) * np.geomspace(1.0, 100.0, TRIALS)[:, None, None])
    own = {name: torch.from_numpy(np.ascontiguousarray(tensor)) for name, tensor in tensors.items()}
    facts, state = facts_of(setting.network, edge), blank_state(services)
    wanted, found = [], []
    for frame, counts in enumerate(frames):
        mean = counts.mean(axis=0)
        state = state_after(state, mean)
        features = features_of(averages_of(state, mean), facts).astype(np.float32)
        wanted.append(student_values(own, torch.from_numpy(features)).numpy())
        found.append(actor.values(counts))
        actor.after_frame(Observation(frame, counts), Reward(frame, 0.0, 0.0))
    return float(np.abs(np.stack(found) - np.stack(wanted)).max() / max(1.0, np.abs(np.stack(wanted)).max()))


def _model(tensors: Tensors, manifest: Manifest) -> Any:
    """The ONNX model of one actor, with what it must be fed with as metadata."""
    constants = _constants(tensors)
    numbers, info = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    open_ = manifest.services == "any"
    slots, services = ("slots", "services") if open_ else (manifest.slots_per_frame, manifest.services)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, reads, makes, **more) for kind, reads, makes, more in _nodes()],
        "ttosc_student",
        [
            info("observation", numbers, [slots, services]),
            info("state", numbers, [STATE, services]),
            info("facts", numbers, [services, FACTS]),
        ],
        [info("values", numbers, [services]), info("state_after", numbers, [STATE, services])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgerig")
    facts = {"normalisation": "tasks, inside the graph", **msgspec.to_builtins(manifest)}
    onnx.helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    onnx.checker.check_model(model)
    return model


def _constants(tensors: Tensors) -> dict[str, Any]:
    """The arrays that the nodes read."""
    weights = np.repeat(np.array(MEMORIES, dtype=np.float32), 2)[:, None]
    hidden = len(tensors["value.weight"])
    single = np.float32
    return {
        "weights": weights,
        "keep": single(1.0) - weights,
        "nothing": np.array(0.0, dtype=single),
        "one": np.array(1.0, dtype=single),
        "plain": np.array(PLAIN, dtype=single),
        "share_unit": np.array(4.0, dtype=single),
        "cell_unit": np.array(0.25, dtype=single),
        "sums_rows": np.arange(0, STATE, 2),
        "held_rows": np.arange(1, STATE, 2),
        "cloud_column": np.array([3]),
        "cell_rows": np.array([1, AVERAGES - 1]),
        "two_columns": np.array([0, 1]),
        "along_services": np.array([1]),
        "row": np.array([-1]),
        "first_weight": tensors["first.weight"],
        "first_bias": tensors["first.bias"] + tensors.get("own.hidden", single(0.0)),
        "second_own": tensors["second.weight"][:hidden],
        "second_cell": tensors["second.weight"][hidden:],
        "second_bias": tensors["second.bias"],
        "value_weight": tensors["value.weight"][:, None],
        "value_bias": tensors["value.bias"] + tensors.get("own.value", single(0.0)),
    }


def _nodes() -> list[tuple[str, list[str], list[str], dict[str, Any]]]:
    """Operators in order: kind, what they read and make, and their attributes."""
    repeated = ["mean", "ones"] * len(MEMORIES)
    return [
        ("ReduceMean", ["observation"], ["mean"], {"axes": [0], "keepdims": 1}),
        ("Mul", ["mean", "nothing"], ["blank"], {}),
        ("Add", ["blank", "one"], ["ones"], {}),
        ("Concat", repeated, ["added"], {"axis": 0}),
        ("Mul", ["state", "keep"], ["kept"], {}),
        ("Mul", ["added", "weights"], ["fresh"], {}),
        ("Add", ["kept", "fresh"], ["state_after"], {}),
        ("Gather", ["state_after", "sums_rows"], ["sums"], {"axis": 0}),
        ("Gather", ["state_after", "held_rows"], ["held"], {"axis": 0}),
        ("Max", ["held", "plain"], ["held_some"], {}),
        ("Div", ["sums", "held_some"], ["smooth"], {}),
        ("Concat", ["mean", "smooth"], ["averages"], {"axis": 0}),
        ("ReduceSum", ["averages", "along_services"], ["total"], {"keepdims": 1}),
        ("Max", ["total", "plain"], ["total_some"], {}),
        ("Div", ["averages", "total_some"], ["part"], {}),
        ("Mul", ["part", "share_unit"], ["share"], {}),
        ("Transpose", ["share"], ["share_columns"], {}),
        ("Transpose", ["averages"], ["columns"], {}),
        ("Sqrt", ["columns"], ["roots"], {}),
        ("Gather", ["facts", "cloud_column"], ["cloud"], {"axis": 1}),
        ("Mul", ["cloud", "columns"], ["spent"], {}),
        ("Gather", ["total", "cell_rows"], ["cell_totals"], {"axis": 0}),
        ("Sqrt", ["cell_totals"], ["cell_roots"], {}),
        ("Mul", ["cell_roots", "cell_unit"], ["cell_scaled"], {}),
        ("Transpose", ["cell_scaled"], ["cell_row"], {}),
        ("Gather", ["facts", "two_columns"], ["any_two"], {"axis": 1}),
        ("Mul", ["any_two", "nothing"], ["two_blanks"], {}),
        ("Add", ["two_blanks", "cell_row"], ["cell"], {}),
        ("Concat", ["facts", "roots", "share_columns", "spent", "cell"], ["features"], {"axis": 1}),
        ("MatMul", ["features", "first_weight"], ["first_sum"], {}),
        ("Add", ["first_sum", "first_bias"], ["first_biased"], {}),
        ("Relu", ["first_biased"], ["rows"], {}),
        ("ReduceMean", ["rows"], ["rows_mean"], {"axes": [0], "keepdims": 1}),
        ("MatMul", ["rows", "second_own"], ["second_rows"], {}),
        ("MatMul", ["rows_mean", "second_cell"], ["second_mean"], {}),
        ("Add", ["second_rows", "second_mean"], ["second_sum"], {}),
        ("Add", ["second_sum", "second_bias"], ["second_biased"], {}),
        ("Relu", ["second_biased"], ["second"], {}),
        ("MatMul", ["second", "value_weight"], ["value_column"], {}),
        ("Reshape", ["value_column", "row"], ["value_row"], {}),
        ("Add", ["value_row", "value_bias"], ["values"], {}),
    ]
