"""An ONNX graph as it is written: nodes one after the other, and the weights they read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""Of 2022: engines of the last years read it, and it has all that is needed here."""
_IR_VERSION = 8  # the one that came with it
FLOAT, BOOL = int(TensorProto.FLOAT), int(TensorProto.BOOL)
"""Types, as a node that casts names them."""

Name = str
"""A tensor of the graph, by its name."""
Tensor = Name | NDArray[Any]
"""A tensor of the graph, or a weight that becomes one."""


class Graph:
    """Nodes, weights, inputs and outputs; each method that adds a node gives the name of its result.

    Args:
        parent: the graph that this one is the body of: its tensors may be read, and weights are kept there.
        known_lengths: whether no length may follow from the values of a request: torch.export does not follow
            it into a loop. Lists of items' values are then as long as the longest of all.
    """

    def __init__(self, parent: Graph | None = None, *, known_lengths: bool = False) -> None:
        self.known_lengths = known_lengths
        self._root: Graph = self if parent is None else parent._root
        self._nodes: list[Any] = []
        self._inputs: dict[Name, Any] = {}
        self._outputs: list[Any] = []
        self._weights: dict[str, Any] = {}  # by what they hold
        self._count = 0

    @property
    def inputs(self) -> tuple[Name, ...]:
        """Names of the inputs."""
        return tuple(self._inputs)

    def input(self, name: Name, dtype: type[np.generic] | np.dtype[Any], *shape: int | str) -> Name:
        """Add an input, once; text in its shape is the name of a length that a request has."""
        if name not in self._inputs:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            self._inputs[name] = helper.make_tensor_value_info(name, kind, list(shape))
        return name

    def output(self, tensor: Name, name: Name, *shape: int | str) -> None:
        """Add a float32 output, the tensor under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, FLOAT, list(shape)))

    def op(self, kind: str, *tensors: Tensor, **attributes: Any) -> Name:
        """Add a node with one result.

        Args:
            kind: of the operator.
            tensors: that it reads; an empty name is an optional one that is left out.
            attributes: of the node.
        """
        return self.ops(kind, 1, *tensors, **attributes)[0]

    def ops(self, kind: str, results: int, *tensors: Tensor, **attributes: Any) -> list[Name]:
        """Add a node with several results."""
        read = [one if isinstance(one, str) else self._weight(one) for one in tensors]
        names = [self._fresh(kind) for _ in range(results)]
        self._nodes.append(helper.make_node(kind, read, names, **attributes))
        return names

    def scan(
        self, state: Tensor, over: Sequence[Tensor], step: Callable[[Graph, Name, list[Name]], Name]
    ) -> Name:
        """Run a step for each slice of some tensors along their first axis, and give the last state.

        Args:
            state: before the first step, of any shape.
            over: tensors of as many slices each.
            step: adds a step to a graph: of the state and the slices to the next state.
        """
        body = Graph(self)
        before, *now = (self._fresh("step") for _ in range(1 + len(over)))
        after = step(body, before, now)
        bare = [helper.make_empty_tensor_value_info(name) for name in (before, *now)]
        graph = helper.make_graph(
            body._nodes, self._fresh("body"), bare, [helper.make_empty_tensor_value_info(after)]
        )
        return self.op("Scan", state, *over, body=graph, num_scan_inputs=len(over))

    @property
    def shapes(self) -> list[tuple[Any, list[int | str]]]:
        """Type of numpy and shape of each input; text is the name of a length that a request has."""
        found = []
        for one in self._inputs.values():
            kind = one.type.tensor_type
            shape = [length.dim_param or length.dim_value for length in kind.shape.dim]
            found.append((helper.tensor_dtype_to_np_dtype(kind.elem_type), shape))
        return found

    @property
    def size(self) -> int:
        """Bytes that the weights take."""
        return sum(len(weight.raw_data) for weight in self._weights.values())

    @property
    def proto(self) -> Any:
        """The graph as ONNX has it."""
        weights = list(self._weights.values())
        return helper.make_graph(self._nodes, "dien", list(self._inputs.values()), self._outputs, weights)

    def model(self, description: str) -> Any:
        """Make the model, checked by ONNX itself.

        Args:
            description: of the model, for whoever opens the file.
        """
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            self.proto,
            opset_imports=opset,
            ir_version=_IR_VERSION,
            producer_name="dien",
            doc_string=description,
        )
        onnx.checker.check_model(model)
        return model

    def _fresh(self, kind: str) -> Name:
        self._root._count += 1
        return f"{kind.lower()}_{self._root._count}"

    def _weight(self, values: NDArray[Any]) -> Name:
        """Keep a weight; two that are alike are one."""
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        key = f"{values.dtype} {values.shape} {digest}"
        if key not in self._root._weights:
            self._root._weights[key] = numpy_helper.from_array(values, self._fresh("weight"))
        name: Name = self._root._weights[key].name
        return name


def ints(*values: int) -> NDArray[np.int64]:
    """Make a list of whole numbers, as shapes, axes and indices are."""
    return np.array(values, np.int64)


def number(value: float) -> NDArray[np.float32]:
    """Make a number that every tensor can be added to, or multiplied with."""
    return np.array(value, np.float32)
