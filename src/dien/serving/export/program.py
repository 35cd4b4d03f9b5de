"""A graph as a module of PyTorch, of its own operators alone, that torch.export can read.

The module runs the nodes of the graph one after the other. Lengths are kept apart from tensors, since
torch.export follows numbers through a program but not through tensors. A recurrence is a loop of PyTorch's,
which torch.export keeps as one; it would unroll any other to the length it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop

from dien.serving.export.graph import Graph

Value = Any
"""A tensor, or :class:`Lengths`."""

_FEW = 8
"""Whole numbers that a shape, axes or the ends of a slice have at most."""
_TYPES = {1: torch.float32, 7: torch.int64, 9: torch.bool}  # as ONNX numbers them


class Lengths(list[Any]):
    """Lengths of tensors, numbers or symbols for such, in place of the tensor that ONNX has of them."""


class Argument(NamedTuple):
    """What a node reads: a tensor by its name, and the whole numbers that it is where they are constant."""

    name: str
    constant: list[int] | None


class Node(NamedTuple):
    """A node of a graph in plain data, which torch.export can look into; the last three are of Scan."""

    kind: str
    arguments: list[Argument]
    results: list[str]
    attributes: dict[str, Any]
    body: list[Node]
    before: list[str]
    after: str


class Program(nn.Module):
    """Takes the inputs of a graph in their order, and gives a tuple of its outputs.

    Args:
        graph: what it runs.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        proto = graph.proto
        self._inputs = [one.name for one in proto.input]
        self._outputs = [one.name for one in proto.output]
        constants: dict[str, list[int]] = {}
        for one in proto.initializer:
            values = numpy_helper.to_array(one)
            if values.dtype == np.int64 and values.size <= _FEW:
                constants[one.name] = values.reshape(-1).tolist()
            self.register_buffer(one.name, torch.from_numpy(np.array(values)))
        self._nodes = _plain(proto.node, constants)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the graph."""
        known: dict[str, Value] = dict(zip(self._inputs, inputs, strict=True))
        self._run(self._nodes, known)
        return tuple(known[name] for name in self._outputs)

    def _run(self, nodes: list[Node], known: dict[str, Value]) -> None:
        """Run nodes, and add their results to what is known by name."""
        for node in nodes:
            if node.kind == "Scan":
                results = self._scan(node, known)
            else:
                found = self._result(node, known)
                results = found if isinstance(found, tuple) else (found,)
            known.update(zip(node.results, results, strict=False))

    def _result(self, node: Node, known: dict[str, Value]) -> Value:
        given, attributes = [known.get(one.name) for one in node.arguments], node.attributes
        plain = [
            value if one.constant is None else one.constant
            for one, value in zip(node.arguments, given, strict=True)
        ]
        of_lengths = [isinstance(value, Lengths) for value in plain]
        if node.kind == "Range" or (
            node.kind in _OF_LENGTHS
            and any(of_lengths)
            and all(
                one.constant is not None or length
                for one, length in zip(node.arguments, of_lengths, strict=True)
            )
        ):
            return _OF_LENGTHS[node.kind](*plain, **attributes)
        tensors = [self._tensor(one, value) for one, value in zip(node.arguments, given, strict=True)]
        if node.kind in _STATIC:
            return _STATIC[node.kind](tensors[0], *plain[1:], **attributes)
        if node.kind == "Split":
            return tuple(tensors[0].chunk(len(node.results), attributes["axis"]))
        return _TENSOR[node.kind](*tensors, **attributes)

    def _tensor(self, argument: Argument, value: Value) -> Tensor:
        if isinstance(value, Lengths):
            return torch.full((1,), value[0], dtype=torch.int64)
        found: Tensor = getattr(self, argument.name) if value is None else value
        return found

    def _scan(self, node: Node, known: dict[str, Value]) -> tuple[Tensor, ...]:
        """Run the body for each slice of some tensors, and give the last state."""
        state, *over = [self._tensor(one, known.get(one.name)) for one in node.arguments]

        def step(t: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            inside = {**known, node.before[0]: h}
            for name, values in zip(node.before[1:], over, strict=True):
                inside[name] = at(values, t)
            self._run(node.body, inside)
            return (inside[node.after],)

        return _loop(over[0].shape[0], (state.clone(memory_format=torch.contiguous_format),), step)


def _plain(nodes: Sequence[Any], constants: dict[str, list[int]]) -> list[Node]:
    """Read nodes of ONNX."""
    found = []
    for node in nodes:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        attributes.pop("num_scan_inputs", None)
        graph = attributes.pop("body", None)
        arguments = [Argument(name, constants.get(name)) for name in node.input]
        body = [] if graph is None else _plain(graph.node, constants)
        before = [] if graph is None else [one.name for one in graph.input]
        after = "" if graph is None else graph.output[0].name
        found.append(Node(node.op_type, arguments, [*node.output], attributes, body, before, after))
    return found


def at(values: Tensor, t: Tensor) -> Tensor:
    """Take the slice ``t`` of a tensor."""
    found: Tensor = values.index_select(0, t.reshape(1)).squeeze(0)
    return found


def _loop(
    steps: Any, states: tuple[Tensor, ...], step: Callable[..., tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """Run a step so many times, of its number and the states to the next states; give the last ones."""

    def body(t: Tensor, *now: Tensor) -> tuple[Tensor, ...]:
        return t + 1, *step(t, *now)

    def more(t: Tensor, *now: Tensor) -> Any:
        return t < steps

    if torch.compiler.is_exporting():
        # Else PyTorch tries whether the last loop's code fits this one, and so ties down lengths of both.
        torch.compiler.reset()
    first = torch.zeros((), dtype=torch.int64)
    last: tuple[Tensor, ...] = while_loop(more, body, (first, *states))  # type: ignore[no-untyped-call]
    return last[1:]


def _gru(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor, hidden_size: int, linear_before_reset: int
) -> tuple[Tensor, Tensor]:
    """Run ONNX's GRU over ``[S, 1, D]``; its gates are update, reset and candidate."""
    H = hidden_size
    bias_ih, bias_hh = b[0].chunk(2)
    inputs = F.linear(x.squeeze(1), w[0], bias_ih)  # [S, 3H]
    weight_hh = r[0]

    def step(t: Tensor, h: Tensor, every: Tensor) -> tuple[Tensor, Tensor]:
        i_u, i_r, i_n = inputs.index_select(0, t.reshape(1)).chunk(3, 1)
        h_u, h_r = F.linear(h, weight_hh[: 2 * H], bias_hh[: 2 * H]).chunk(2, 1)
        u, reset = torch.sigmoid(i_u + h_u), torch.sigmoid(i_r + h_r)
        if linear_before_reset:
            h_n = reset * F.linear(h, weight_hh[2 * H :], bias_hh[2 * H :])
        else:
            h_n = F.linear(reset * h, weight_hh[2 * H :], bias_hh[2 * H :])
        h = (1 - u) * torch.tanh(i_n + h_n) + u * h
        return h, every.index_copy(0, t.reshape(1), h)

    states = inputs.new_zeros(inputs.shape[0], H)
    last, every = _loop(inputs.shape[0], (inputs.new_zeros(1, H), states), step)
    return every[:, None, None], last[None]


def _slice(x: Tensor, starts: list[int], ends: list[int], axes: list[int]) -> Tensor:
    (start,), (end,), (axis,) = starts, ends, axes
    if start >= 0:
        return x.narrow(axis, start, end - start)
    # The last so many, or all.
    count = torch.sym_min(x.shape[axis], -start)  # type: ignore[no-untyped-call]
    return x.index_select(axis, torch.arange(count) + (x.shape[axis] - count))


def _pad(x: Tensor, pads: list[int], value: list[int] | None) -> Tensor:
    """Add so much at the end of each axis: a whole number, or zero to what is no whole number."""
    for axis, more in enumerate(pads[len(pads) // 2 :]):  # nothing is put before
        if more:
            shape = [*x.shape]
            shape[axis] = more
            x = torch.cat([x, x.new_full(shape, 0 if value is None else value[0])], axis)
    return x


def _gather(x: Value, indices: Value, axis: int = 0) -> Tensor:
    found: Tensor
    if indices.ndim == 1:
        found = x.index_select(axis, indices)
    else:
        found = F.embedding(indices, x) if x.ndim == 2 else x[indices]
    return found


def _expand(x: Tensor, shape: Sequence[Any]) -> Tensor:
    new = len(shape) - x.ndim
    # To ONNX a 1 says that a length stays as it is.
    return x.expand(*(-1 if isinstance(n, int) and n == 1 and k >= new else n for k, n in enumerate(shape)))


def _unsqueeze(x: Tensor, axes: list[int]) -> Tensor:
    for axis in axes:
        x = x.unsqueeze(axis)
    return x


def _squeeze(x: Tensor, axes: list[int]) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = x.squeeze(axis)
    return x


def _range(start: list[Any], end: list[Any], step: list[int]) -> Any:
    last = end[0]
    if step[0] > 0:
        return torch.arange(start[0], last)
    return start[0] - torch.arange(start[0] - last)


def _extreme(of: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axes: Sequence[int] = (), keepdims: int = 1) -> Tensor:
        return of(x, dim=[*axes] if axes else None, keepdim=bool(keepdims))

    return reduce


def _shape(x: Tensor, start: int = 0, end: int | None = None) -> Lengths:
    return Lengths(x.shape[start:end])


_OF_LENGTHS: dict[str, Callable[..., Value]] = {
    "Concat": lambda *parts, axis: Lengths([one for part in parts for one in part]),
    "Squeeze": lambda lengths: lengths,
    "Sub": lambda a, b: Lengths([a[0] - b[0]]),
    "Range": _range,
}
"""Nodes that work with lengths where these are all they read."""

_STATIC: dict[str, Callable[..., Value]] = {
    "Expand": _expand,
    "Pad": _pad,
    "ReduceSum": lambda x, axes, keepdims=1: x.sum(axes, keepdim=bool(keepdims)),
    "Reshape": lambda x, shape: x.reshape(shape),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
"""Nodes whose first input is a tensor, and whose others are constants or lengths."""

_TENSOR: dict[str, Callable[..., Value]] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Cast": lambda x, to: x.to(_TYPES[to]),
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Div": torch.div,
    "Equal": torch.eq,
    "GRU": _gru,
    "Gather": _gather,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Identity": lambda x: x.clone(),
    "IsNaN": torch.isnan,
    "Less": torch.lt,
    "Log": torch.log,
    "MatMul": torch.matmul,
    "Max": torch.maximum,
    "Mul": torch.mul,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "PRelu": lambda x, slope: torch.where(x > 0, x, x * slope),
    "ReduceMax": _extreme(torch.amax),
    "ReduceMin": _extreme(torch.amin),
    "Relu": torch.relu,
    "Shape": _shape,
    "Sigmoid": torch.sigmoid,
    "Size": lambda x: Lengths([x.shape[0]]),  # of lists alone
    "Softmax": lambda x, axis: torch.softmax(x, axis),
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Transpose": lambda x, perm: x.permute(*perm).clone(memory_format=torch.contiguous_format),
    "Where": torch.where,
}
