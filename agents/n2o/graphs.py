"""Networks of the rental world written as ONNX graphs, operator by operator, each with its scales inside."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray

from agents.n2o.files import Manifest
from agents.n2o.layout import FIELDS, Layout, Singles

OPSET = 17
IR_VERSION = 8
STATES = "states"
Tensors = dict[str, Singles]


class Drawing:
    """Nodes and constants of a graph as it grows."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add an operator; returns the name of what it makes."""
        self.nodes.append(onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: ArrayLike, dtype: Any = np.float32) -> str:
        """Add a constant; returns its name."""
        self.constants[name] = np.ascontiguousarray(values, dtype=dtype)
        return name

    def scaled_observation(self, layout: Layout) -> str:
        """The observation as networks see it."""
        centre, scale = self.constant("centre", layout.centre), self.constant("scale", layout.scale)
        less = self.node("Sub", ["observation", centre], "less")
        return self.node("Div", [less, scale], "seen")

    def layers(self, tensors: Tensors, entering: str, first: int) -> str:
        """Layers with ReLU between them, from one on; returns the last one's output."""
        last = len(tensors) // 2 - 1
        for layer in range(first, last + 1):
            weight = self.constant(f"weight_{layer}", tensors[f"weight_{layer}"])
            bias = self.constant(f"bias_{layer}", tensors[f"bias_{layer}"])
            made = self.node("MatMul", [entering, weight], f"product_{layer}")
            entering = self.node("Add", [made, bias], f"sum_{layer}")
            if layer < last:
                entering = self.node("Relu", [entering], f"hidden_{layer}")
        return entering

    def model(self, name: str, inputs: dict[str, list[Any]], outputs: dict[str, tuple[int, list[Any]]]) -> Any:
        """The model: inputs are single precision, outputs of a type and shape each."""
        number = onnx.TensorProto.FLOAT
        made = onnx.helper.make_graph(
            self.nodes,
            name,
            [onnx.helper.make_tensor_value_info(each, number, shape) for each, shape in inputs.items()],
            [onnx.helper.make_tensor_value_info(each, kind, shape) for each, (kind, shape) in outputs.items()],
            [onnx.numpy_helper.from_array(values, each) for each, values in self.constants.items()],
        )
        opsets = [onnx.helper.make_opsetid("", OPSET)]
        model = onnx.helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgerig")
        onnx.checker.check_model(model)
        return model


def with_facts(model: Any, manifest: Manifest, edge: int) -> Any:
    """The model with what it must be fed with as metadata."""
    facts: dict[str, Any] = msgspec.to_builtins(manifest)
    facts["neighbours"] = list(manifest.neighbours[edge])
    facts["normalisation"] = "(observation - centre) / scale, inside the graph"
    onnx.helper.set_model_props(model, {"edge": str(edge), **{name: str(value) for name, value in facts.items()}})
    return model


def _own(tensors: Tensors, layout: Layout, edge: int) -> Tensors:
    """A local Q-network without the inputs of neighbours that this edge server does not have."""
    inputs = FIELDS + 1 + len(layout.graph.neighbours[edge])
    return {**tensors, "weight_0": tensors["weight_0"][:inputs]}


def table_model(tensors: Tensors, layout: Layout, edge: int) -> Any:
    """Observation to table.

    The first layer is a sum of what is seen and what is rented; the second part is the same for every observation, so
    it is a constant.
    """
    own, drawing = _own(tensors, layout, edge), Drawing()
    rows = layout.rows(edge)
    seen = drawing.scaled_observation(layout)
    above = drawing.node("MatMul", [seen, drawing.constant("weight_seen", own["weight_0"][:FIELDS])], "above")
    apart = drawing.node("Unsqueeze", [above, drawing.constant("row_axis", [1], np.int64)], "apart")
    beside = drawing.constant("beside", rows @ own["weight_0"][FIELDS:] + own["bias_0"])
    hidden = drawing.node("Relu", [drawing.node("Add", [apart, beside], "entering")], "hidden")
    last = drawing.layers(own, hidden, first=1)
    drawing.node("Squeeze", [last, drawing.constant("value_axis", [2], np.int64)], "table")
    outputs = {"table": (onnx.TensorProto.FLOAT, [STATES, len(rows)])}
    return drawing.model("n2o_table", {"observation": [STATES, FIELDS]}, outputs)


def q_model(tensors: Tensors, layout: Layout, edge: int) -> Any:
    """Observation and rentals, whole or not, to value and slopes; the slopes by going back through the layers."""
    own, drawing = _own(tensors, layout, edge), Drawing()
    places = 1 + len(layout.graph.neighbours[edge])
    step = 2.0 / (layout.actions - 1)
    seen = drawing.scaled_observation(layout)
    units = drawing.node("Mul", ["rented", drawing.constant("step", step)], "units")
    coded = drawing.node("Sub", [units, drawing.constant("one", 1.0)], "coded")
    both = drawing.node("Concat", [seen, coded], "both", axis=1)
    last = len(own) // 2 - 1
    drawing.node(
        "Squeeze", [drawing.layers(own, both, first=0), drawing.constant("value_axis", [1], np.int64)], "value"
    )
    back = drawing.constant("back", own[f"weight_{last}"].T)
    for layer in range(last - 1, -1, -1):
        positive = drawing.node("Greater", [f"hidden_{layer}", drawing.constant("nothing", 0.0)], f"positive_{layer}")
        mask = drawing.node("Cast", [positive], f"mask_{layer}", to=onnx.TensorProto.FLOAT)
        back = drawing.node("Mul", [back, mask], f"masked_{layer}")
        matrix = own[f"weight_{layer}"] if layer else own["weight_0"][FIELDS:] * np.float32(step)
        back = drawing.node(
            "MatMul",
            [back, drawing.constant(f"back_{layer}", matrix.T)],
            f"to_{layer}" if layer else "slope",
        )
    number = onnx.TensorProto.FLOAT
    outputs: dict[str, tuple[int, list[Any]]] = {"value": (number, [STATES]), "slope": (number, [STATES, places])}
    return drawing.model("n2o_q", {"observation": [STATES, FIELDS], "rented": [STATES, places]}, outputs)


def actor_model(tensors: Tensors, layout: Layout) -> Any:
    """Observation to rental: of one output the nearest whole number, of several the largest."""
    drawing = Drawing()
    outputs = tensors[f"bias_{len(tensors) // 2 - 1}"].shape[0]
    last = drawing.layers(tensors, drawing.scaled_observation(layout), first=0)
    answered = drawing.node("Identity", [last], "answer")
    if outputs == 1:
        flat = drawing.node("Squeeze", [answered, drawing.constant("answer_axis", [1], np.int64)], "flat")
        near = drawing.node("Round", [flat], "near")
        low, high = drawing.constant("least", 0.0), drawing.constant("most", layout.actions - 1.0)
        drawing.node("Cast", [drawing.node("Clip", [near, low, high], "within")], "rented", to=onnx.TensorProto.INT64)
    else:
        drawing.node("ArgMax", [answered], "rented", axis=1, keepdims=0)
    kinds = {
        "rented": (onnx.TensorProto.INT64, [STATES]),
        "answer": (onnx.TensorProto.FLOAT, [STATES, outputs]),
    }
    return drawing.model("n2o_actor", {"observation": [STATES, FIELDS]}, kinds)
