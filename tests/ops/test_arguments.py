"""What every operator does with arguments of any type, shape, place and value: refuse them or be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._pytree import tree_map_only

from dien.ops import attention_gru_layer, cpu
from tests.ops.calls import DIRECT, PLACES, PUBLIC, SHAPES, TYPES, VALUES, copied, direct, leaves, replaced

# Every refusal names the operator, what was found and the rule.
CLEAR = re.compile(rf"^({'|'.join(DIRECT)})(: | has index ).*; expected ", re.DOTALL)

COMPOSITE = ("reset_before_gru", "segment_sum")
"""These a compiler takes apart."""

Call = tuple[Callable[..., Any], tuple[Any, ...]]
CALLS: dict[str, Call] = {f"torch.ops.dien.{name}": (direct(name), given) for name, given in DIRECT.items()}
CALLS |= {f"dien.ops.{name}": call for name, call in PUBLIC.items()}


def test_every_operator_is_among_those_that_are_tried() -> None:
    names = torch._C._dispatch_get_all_op_names()
    assert set(DIRECT) == {name.removeprefix("dien::") for name in names if name.startswith("dien::")}


def outcome(function: Callable[..., Any], given: tuple[Any, ...], backend: str) -> tuple[str, list[Tensor]]:
    """The words of a refusal, or what the call returns and all it may have written."""
    given = copied(given)
    with cpu.backend(backend):
        try:
            found = function(*given)
        except (ValueError, IndexError) as error:
            return str(error), []
    results = found if isinstance(found, list | tuple) else [] if found is None else [found]
    return "", [*results, *(tensor for _, tensor in leaves(given))]


def ways_to_spoil(tensor: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    return {**SHAPES, **TYPES, **PLACES, **(VALUES if tensor.dtype == torch.int64 else {})}


def check(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Hold every backend against plain PyTorch: the same refusal, in words, or the same numbers."""
    refusal, expected = outcome(function, arguments, "reference")
    assert not refusal or CLEAR.match(refusal), refusal
    for backend in cpu.backends()[:-1]:
        message, found = outcome(function, arguments, backend)
        assert message == refusal
        for one, other in zip(found, expected, strict=True):
            if one.layout is torch.strided and one.device.type == "cpu":
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_any_kind_is_refused_in_words_or_gives_the_numbers_of_plain_pytorch(name: str) -> None:
    function, good = CALLS[name]
    for path, tensor in leaves(good):
        for spoil in ways_to_spoil(tensor).values():
            check(function, replaced(good, path, spoil(tensor)))


@pytest.mark.parametrize("name", CALLS)
def test_all_tensors_or_all_of_a_kind_spoilt_in_one_way_are_so_too(name: str) -> None:
    function, good = CALLS[name]
    places = list(leaves(good))
    floats = [(path, tensor) for path, tensor in places if tensor.is_floating_point()]
    integers = [(path, tensor) for path, tensor in places if not tensor.is_floating_point()]
    for spoil in (*SHAPES.values(), *TYPES.values(), *PLACES.values()):
        for some in (places, floats, integers):
            arguments = good
            for path, tensor in some:
                arguments = replaced(arguments, path, spoil(tensor))
            check(function, arguments)


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=15)
@given(data=st.data())
def test_several_spoilt_at_once_are_so_too(name: str, data: st.DataObject) -> None:
    function, arguments = CALLS[name]
    places = list(leaves(arguments))
    for path, tensor in data.draw(st.lists(st.sampled_from(places), min_size=2, max_size=3)):
        spoil = data.draw(st.sampled_from(list(ways_to_spoil(tensor).values())))
        arguments = replaced(arguments, path, spoil(tensor))
    check(function, arguments)


@pytest.mark.parametrize("name", [name for name in DIRECT if name not in COMPOSITE])
@settings(max_examples=20)
@given(data=st.data())
def test_shapes_and_types_are_refused_alike_where_a_compiler_traces(name: str, data: st.DataObject) -> None:
    paths = [path for path, tensor in leaves(DIRECT[name]) if tensor.is_floating_point()]
    paths = paths or [path for path, _ in leaves(DIRECT[name])]
    path = data.draw(st.sampled_from(paths))
    change = data.draw(st.sampled_from([*SHAPES.values(), *TYPES.values()]))
    tensor = dict(leaves(DIRECT[name]))[path]
    arguments = replaced(DIRECT[name], path, change(tensor))
    refusal, found = outcome(direct(name), arguments, "reference")
    with FakeTensorMode(shape_env=ShapeEnv(), static_shapes=True) as mode:
        message, traced = outcome(
            direct(name), tree_map_only(Tensor, mode.from_tensor, arguments), "reference"
        )
    if message:
        assert message == refusal
        return
    assert " torch." not in refusal  # values may yet be refused, such as lengths; types are known
    for one, other in zip(traced, found, strict=False):
        assert one.dtype == other.dtype
        known = [a == b for a, b in zip(one.shape, other.shape, strict=True) if isinstance(a, int)]
        assert all(known)


def test_without_values_a_result_is_refused_only_where_its_size_depends_on_them() -> None:
    x, weight_ih, weight_hh, _, _, starts, lengths, *_ = (
        one.to("meta") for one in DIRECT["attention_gru"] if isinstance(one, Tensor)
    )
    rows = (x, weight_ih, weight_hh, None, None, starts, lengths)
    assert attention_gru_layer(*rows, kind="gru").shape == (lengths.shape[0], weight_hh.shape[1])
    with pytest.raises(ValueError, match=r"attention_gru: lengths is on meta, .*; expected values: the size"):
        attention_gru_layer(*rows, kind="gru", outputs="all")


@pytest.mark.parametrize("backend", cpu.backends())
def test_nothing_is_written_where_an_update_is_refused(backend: str) -> None:
    table, rows, *rest = DIRECT["adam_rows"]
    for spoilt, message in (
        (torch.tensor([1, 4, 1]), "rows names row 1 more than once"),
        (torch.tensor([4, 6, 9]), "index 9 at position 2"),
    ):
        given = copied((table, spoilt, *rest))
        with cpu.backend(backend), pytest.raises((ValueError, IndexError), match=message):
            torch.ops.dien.adam_rows(*given)
        assert all(map(torch.equal, given[:1] + given[3:6], (table, *rest[1:4])))
    touched = torch.tensor([0, 4, 0, 0, 1, 0, 0, 0, 0]).int()
    for wrong in (touched, -touched):
        given = copied((table, rows, *rest[:3], wrong, *rest[4:]))
        with cpu.backend(backend), pytest.raises(ValueError, match=r"touched is -?4 for row 1 and step 3"):
            torch.ops.dien.adam_rows(*given)
        assert torch.equal(given[0], table)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({6: 0}, "step=0; expected 1 to"),
        ({6: 2**31}, "step=2147483648; expected 1 to"),
        ({7: float("nan")}, "lr=nan"),
        ({8: 1.0}, r"betas=\(1.0, 0.999\)"),
        ({9: -0.1}, r"betas=\(0.9, -0.1\)"),
        ({10: -1.0}, "eps=-1.0"),
    ],
)
def test_an_update_with_numbers_that_make_no_sense_is_refused(changes: dict[int, Any], message: str) -> None:
    given = list(copied(DIRECT["adam_rows"]))
    for at, value in changes.items():
        given[at] = value
    with pytest.raises(ValueError, match=message):
        torch.ops.dien.adam_rows(*given)


@pytest.mark.parametrize(("table_of", "table"), [([0, 5], 5), ([-1, 0], -1)])
def test_a_table_that_is_not_there_is_refused(table_of: list[int], table: int) -> None:
    tables, indices, _ = DIRECT["gather_rows"]
    with pytest.raises(ValueError, match=f"table_of names table {table}; expected 0 to 1, one of 2 tables"):
        torch.ops.dien.gather_rows(tables, indices, table_of)


def test_an_update_of_what_has_a_gradient_is_refused_where_gradients_are_on() -> None:
    given = copied(DIRECT["adam_rows"])
    given[0].requires_grad_()
    with pytest.raises(RuntimeError, match=r"adam_rows has no derivative; call it under torch.no_grad\(\)"):
        torch.ops.dien.adam_rows(*given)


@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in ("adam_rows", "matches")])
def test_a_default_type_of_double_precision_changes_nothing(name: str, backend: str) -> None:
    function, given = PUBLIC[name]
    floats = [path for path, tensor in leaves(given) if tensor.is_floating_point()]

    def run() -> list[Tensor]:
        own = copied(given)
        tensors = dict(leaves(own))
        inputs = [tensors[path].requires_grad_() for path in floats]
        found = function(*own)
        found = [one for one in found if one.is_floating_point()] if isinstance(found, tuple) else [found]
        gradients = torch.autograd.grad(sum(one.square().sum() for one in found), inputs)
        return [*found, *gradients]

    with cpu.backend(backend):
        expected = run()
        torch.set_default_dtype(torch.float64)
        try:
            found = run()
        finally:
            torch.set_default_dtype(torch.float32)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert torch.equal(one.to_dense(), other.to_dense())


@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [name for name in PUBLIC if "_row" not in name and name != "matches"])
def test_under_autocast_an_operator_computes_in_float32(name: str, low: torch.dtype, backend: str) -> None:
    function, given = PUBLIC[name]
    floats = [(path, tensor) for path, tensor in leaves(given) if tensor.is_floating_point()]
    for some in (floats, *([one] for one in floats)):  # all of the lower type, and each alone
        inputs = [tensor.to(low).requires_grad_() for _, tensor in some]
        lowered, raised = given, given
        for (path, _), tensor in zip(some, inputs, strict=True):
            lowered, raised = replaced(lowered, path, tensor), replaced(raised, path, tensor.float())
        with cpu.backend(backend):
            expected = function(*raised)
            with torch.autocast("cpu", low):
                found = function(*lowered)
            for one, other in zip(
                *[x if isinstance(x, tuple) else (x,) for x in (found, expected)], strict=True
            ):
                assert one.dtype == torch.float32
                assert torch.equal(one, other)
                ours, theirs = (torch.autograd.grad(x.square().sum(), inputs) for x in (one, other))
                for gradient, same, tensor in zip(ours, theirs, inputs, strict=True):
                    assert gradient.dtype == tensor.dtype
                    torch.testing.assert_close(gradient, same, rtol=0.02, atol=0.02)
