import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.ops import attention_gru, attention_gru_layer, cpu
from dien.ops.attention_gru import reference
from dien.ops.cpu import library
from tests.ops.calls import DIRECT, copied, direct
from tests.ops.test_attention_gru import KINDS, Rows, flat, given_inputs, layer_problem, problem

COMPILED = cpu.backends()[:-1]
each_backend = pytest.mark.parametrize("backend", COMPILED)
each_kind = pytest.mark.parametrize("kind", KINDS)

# Sizes on both sides of every vector and register block.
SIZES = [*range(1, 20), 31, 32, 33, 36, 47, 48, 49, 63, 64, 65, 128]


def test_the_library_is_built_where_the_tests_run() -> None:
    assert COMPILED, "install with a C++ compiler at hand: pip install --editable ."


class Refusing:
    """Functions of a library that take nothing, whatever it is."""

    def __getattr__(self, name: str) -> Any:
        def function(*_: Any) -> int:
            return -1 if name == "dien_pairs" else 1

        function.argtypes = None  # type: ignore[attr-defined]
        return function


@each_backend
@pytest.mark.parametrize("name", [name for name in DIRECT if not name.startswith(("segment_sum", "reset_"))])
def test_what_the_library_refuses_and_no_check_explains_is_an_error_and_no_result(
    backend: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = library.load()
    assert loaded is not None
    monkeypatch.setattr(loaded, "functions", Refusing())
    refused = "dien_.*: refused, while the check in Python finds nothing wrong"
    with cpu.backend(backend), pytest.raises(RuntimeError, match=refused):
        direct(name)(*copied(DIRECT[name]))


@st.composite
def shared_rows(draw: st.DrawFn) -> tuple[int, Rows]:
    """Rows in any order: alone, alike, overlapping, without steps, and steps that none reads."""
    N = draw(st.integers(0, 25))
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, N))
        length = draw(st.integers(0, N - start))
        rows += [(start, length)] * draw(st.sampled_from([1, 1, 2, 40]))
    return N, draw(st.permutations(rows)) if draw(st.booleans()) else rows


def single(kind: str, rows: Rows, N: int, H: int, **rest: Any) -> dict[str, Any]:
    """Random float32 arguments, weights of the size torch.nn.GRU starts with."""
    arguments = problem(kind, rows, N=N, H=H, dtype=torch.float32, **rest)
    with torch.no_grad():
        arguments["weight_hh"] /= H**0.5
    return arguments


def single_layer(kind: str, rows: Rows, N: int, D: int, H: int, **rest: Any) -> dict[str, Any]:
    """The same of ``attention_gru_layer``."""
    arguments = layer_problem(kind, rows, N=N, D=D, H=H, dtype=torch.float32, **rest)
    with torch.no_grad():
        arguments["weight_hh"] /= H**0.5
        arguments["weight_ih"] /= D**0.5
    return arguments


def doubled(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        name: given.detach().double().requires_grad_()
        if isinstance(given, Tensor) and given.is_floating_point()
        else given
        for name, given in arguments.items()
    }


def run(arguments: dict[str, Any], backend: str, probe: Tensor, **rest: Any) -> tuple[Tensor, ...]:
    """The output, then the gradient of every input, on one backend."""
    function = attention_gru if "gates" in arguments else attention_gru_layer
    with cpu.backend(backend):
        found = function(**arguments, **rest)
        if not found.requires_grad:
            return (found,)
        return (found.detach(), *torch.autograd.grad(found, given_inputs(arguments), probe.to(found.dtype)))


def assert_within(found: Tensor, expected: Tensor, relative: float, scale: float = 1e-30) -> None:
    """Hold the largest error against the largest value, or against a scale where that happens to be small."""
    assert found.shape == expected.shape
    if expected.numel():
        error = float((found.detach().double() - expected.detach()).abs().max())
        assert error <= relative * max(float(expected.detach().abs().max()), scale), f"off by {error}"


@each_backend
@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    outputs=st.sampled_from(["last", "all"]),
    shape=shared_rows(),
    H=st.sampled_from(SIZES),
    bias=st.booleans(),
    state=st.booleans(),
    seed=st.integers(0, 99),
)
def test_values_are_within_1e_5_and_gradients_within_1e_4_of_double_precision(
    backend: str, kind: str, outputs: str, shape: tuple[int, Rows], H: int, bias: bool, state: bool, seed: int
) -> None:
    N, rows = shape
    arguments = single(kind, rows, N, H, bias=bias, state=state, seed=seed)
    count = len(rows) if outputs == "last" else int(arguments["lengths"].sum())
    probe = torch.randn(count, H, dtype=torch.float64)
    found = run(arguments, backend, probe, kind=kind, outputs=outputs)
    expected = run(doubled(arguments), "reference", probe, kind=kind, outputs=outputs)
    assert_within(found[0], expected[0], 1e-5)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert_within(one, other, 1e-4)


@each_backend
@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    outputs=st.sampled_from(["last", "all"]),
    shape=shared_rows(),
    D=st.sampled_from(SIZES),
    H=st.sampled_from(SIZES),
    bias=st.booleans(),
    state=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_layers_values_are_within_1e_5_and_its_gradients_within_1e_4_of_double_precision(
    backend: str,
    kind: str,
    outputs: str,
    shape: tuple[int, Rows],
    D: int,
    H: int,
    bias: bool,
    state: bool,
    seed: int,
) -> None:
    N, rows = shape
    arguments = single_layer(kind, rows, N, D, H, bias=bias, state=state, seed=seed)
    count = len(rows) if outputs == "last" else int(arguments["lengths"].sum())
    probe = torch.randn(count, H, dtype=torch.float64)
    found = run(arguments, backend, probe, kind=kind, outputs=outputs)
    expected = run(doubled(arguments), "reference", probe, kind=kind, outputs=outputs)
    assert_within(found[0], expected[0], 1e-5, scale=0.1)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert_within(one, other, 1e-4, scale=0.01)


@each_backend
@each_kind
def test_long_histories_at_the_sizes_of_a_model_are_as_exact(backend: str, kind: str) -> None:
    lengths = torch.randint(0, 200, (90,), generator=torch.Generator().manual_seed(0)).tolist()
    starts = [sum(lengths[:b]) for b in range(len(lengths))]
    rows = [row for row in zip(starts, lengths, strict=True) for _ in range(2)]
    arguments = single(kind, rows, sum(lengths), 36)
    probe = torch.randn(180, 36, dtype=torch.float64)
    found = run(arguments, backend, probe, kind=kind)
    expected = run(doubled(arguments), "reference", probe, kind=kind)
    for one, other in zip(found, expected, strict=True):
        assert_within(one, other, 1e-5)


def units_in_last_place(found: Tensor, expected: Tensor) -> float:
    """The largest error, in the spacing of float32 at the value expected."""
    rounded = expected.float()
    spacing = (torch.nextafter(rounded, torch.tensor(torch.inf)) - rounded).double()
    return float(((found.double() - expected).abs() / spacing).max())


@each_backend
@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_sigmoid_and_tanh_are_within_4_units_in_the_last_place(backend: str, function: str) -> None:
    small = torch.logspace(-30, 1.9, 50_000)
    x = torch.cat([small, -small, torch.linspace(-85, 85, 50_001)])[:, None]
    N = len(x)
    if function == "tanh":  # one step of AGRU from zero at a score of one is n = tanh(i_n)
        kind, gates = "agru", torch.cat([torch.zeros(N, 2), x], 1)
    else:  # one step of AUGRU is u n, and tanh(30) = 1
        kind, gates = "augru", torch.cat([torch.zeros(N, 1), x, torch.full((N, 1), 30.0)], 1)
    with cpu.backend(backend):
        found = attention_gru(
            gates,
            torch.zeros(3, 1),
            None,
            torch.arange(N),
            torch.ones(N, dtype=torch.int64),
            torch.ones(N),
            kind=kind,
        )
    worst = units_in_last_place(found, getattr(torch, function)(x.double()))
    assert worst < 4


@each_backend
def test_gates_beyond_every_scale_saturate(backend: str) -> None:
    x = torch.tensor([-torch.inf, -1e30, -200.0, 200.0, 1e30, torch.inf])[:, None]
    one = torch.ones(6, dtype=torch.int64)
    with cpu.backend(backend):
        n = attention_gru(
            x.expand(6, 3), torch.zeros(3, 1), None, torch.arange(6), one, torch.ones(6), kind="agru"
        )
        gates = torch.cat([x, x, torch.full((6, 1), 30.0)], 1)
        u = attention_gru(gates, torch.zeros(3, 1), None, torch.arange(6), one, torch.ones(6), kind="augru")
    assert n[:, 0].tolist() == [-1, -1, -1, 1, 1, 1]
    torch.testing.assert_close(u[:, 0], torch.tensor([0.0, 0, 0, 1, 1, 1]), rtol=0, atol=1e-37)


@each_backend
def test_a_step_that_is_no_number_spoils_its_own_rows_alone(backend: str) -> None:
    rows = [(0, 3), (3, 4), (1, 6), (7, 2)]
    arguments = single("augru", rows, 9, 20, requires_grad=False)
    with cpu.backend(backend):
        clean = attention_gru(**arguments)
        arguments["gates"][4, 45] = torch.nan  # of the second row and the third
        spoilt = attention_gru(**arguments)
    assert spoilt.isnan().any(1).tolist() == [False, True, True, False]
    assert torch.equal(spoilt[[0, 3]], clean[[0, 3]])


@each_backend
@each_kind
def test_a_row_gives_the_same_bits_alone_and_among_others(backend: str, kind: str) -> None:
    lengths = torch.arange(70) * 7 % 23
    starts = torch.cumsum(lengths, 0) - lengths
    arguments = single(
        kind,
        list(zip(starts.tolist(), lengths.tolist(), strict=True)),
        int(lengths.sum()),
        36,
        requires_grad=False,
    )
    with cpu.backend(backend):
        together = attention_gru(**arguments, kind=kind)
        for b in (0, 1, 22, 69):
            own = slice(int(starts[b]), int(starts[b] + lengths[b]))
            alone = attention_gru(
                arguments["gates"],
                arguments["weight_hh"],
                arguments["bias_hh"],
                starts[b : b + 1],
                lengths[b : b + 1],
                None if kind == "gru" else arguments["scores"][own],
                kind=kind,
                state=arguments["state"][b : b + 1],
            )
            assert torch.equal(together[b : b + 1], alone)


@each_backend
@pytest.mark.parametrize("pool", ["torch's threads", "threads of its own"])
def test_any_number_of_threads_gives_the_same_bits_each_time(
    backend: str, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = library.load()
    assert compiled is not None
    if pool == "threads of its own":
        monkeypatch.setattr(compiled, "pool", None)
    elif compiled.pool is None:
        pytest.skip("torch runs on an OpenMP library without GOMP_parallel")
    lengths = torch.arange(300) * 7 % 41
    starts = torch.cumsum(lengths, 0) - lengths
    rows = list(zip(starts.tolist(), lengths.tolist(), strict=True))
    N = int(lengths.sum())
    for arguments in (
        single("augru", rows + rows[:200] + [(5, 300)], N, 36),
        single_layer("augru", [*rows, (7, 80)], N + 100, 20, 36),  # projects where it runs
        single_layer("augru", rows + rows[:200], N, 20, 36),  # projects every step once
    ):
        probe = torch.randn(len(arguments["lengths"]), 36)
        found = []
        for threads in (1, 2, 3, 3):
            torch.set_num_threads(threads)
            found.append(run(arguments, backend, probe))
        for other in found[1:]:
            for one, two in zip(found[0], other, strict=True):
                assert torch.equal(one, two)


@each_backend
@pytest.mark.parametrize("name", ["gates", "x"])
def test_gates_or_inputs_are_read_in_place_where_they_are_a_slice_of_wider_rows(
    backend: str, name: str
) -> None:
    if name == "gates":
        arguments = single("augru", [(0, 9), (3, 5)], 9, 5)
    else:
        arguments = single_layer("augru", [(0, 5), (3, 4)], 9, 7, 5)
    wide = torch.randn(9, 40)
    read = slice(7, 7 + arguments[name].shape[1])
    wide[:, read] = arguments[name].detach()
    sliced = arguments | {name: wide.requires_grad_()[:, read]}
    probe = torch.randn(2, 5)
    for one, two in zip(run(sliced, backend, probe), run(arguments, backend, probe), strict=True):
        assert torch.equal(one, two)


@each_backend
def test_an_input_that_is_no_number_spoils_its_own_rows_alone(backend: str) -> None:
    rows = [(0, 3), (3, 4), (7, 2)]
    arguments = single_layer("augru", rows, 9, 6, 20, requires_grad=False)
    with cpu.backend(backend):
        clean = attention_gru_layer(**arguments)
        arguments["x"][4, 5] = torch.nan
        spoilt = attention_gru_layer(**arguments)
    assert spoilt.isnan().any(1).tolist() == [False, True, False]
    assert torch.equal(spoilt[[0, 2]], clean[[0, 2]])


def test_every_layout_of_every_argument_is_understood() -> None:
    arguments = single("augru", [(0, 9), (3, 5)], 9, 5, requires_grad=False)
    strange = {
        name: torch.stack([given, given], -1)[..., 0]
        for name, given in arguments.items()
        if isinstance(given, Tensor)
    }
    strange["weight_hh"] = arguments["weight_hh"].t().contiguous().t()
    assert torch.equal(attention_gru(**strange), attention_gru(**arguments))


@pytest.mark.parametrize("backend", cpu.backends())
def test_rows_that_do_not_fit_are_refused_by_the_operator_itself(backend: str) -> None:
    arguments = single("augru", [(0, 3), (3, 2)], 5, 2, requires_grad=False)
    far = 2**62
    with cpu.backend(backend):
        for changes in (
            {"starts": torch.tensor([0, 4])},
            {"starts": torch.tensor([-1, 3])},
            {"lengths": torch.tensor([6, -1])},
            {"lengths": torch.tensor([2, 2])},
            {"starts": torch.tensor([far, far]), "lengths": torch.tensor([far, far])},
            {"starts": torch.tensor([0, 3]), "lengths": torch.tensor([3, 2 - 2**63])},
        ):
            with pytest.raises(ValueError, match=r"attention_gru: (row \d has starts|scores has shape)"):
                torch.ops.dien.attention_gru(*flat(arguments | changes, "augru"), True, True)


def test_double_precision_and_a_backend_forced_by_name_go_to_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called = []
    plain = reference.forward
    monkeypatch.setattr(
        reference, "forward", lambda given, *keep: called.append(given.x.dtype) or plain(given, *keep)
    )
    arguments = single("gru", [(0, 3)], 3, 2, requires_grad=False)
    attention_gru(**arguments, kind="gru")
    assert called == []
    attention_gru(**problem("gru", [(0, 3)], N=3, H=2, requires_grad=False), kind="gru")
    with cpu.backend("reference"):
        attention_gru(**arguments, kind="gru")
    assert called == [torch.float64, torch.float32]


def test_a_backend_this_machine_lacks_is_refused_with_those_it_has() -> None:
    choices = ", ".join(cpu.backends())
    with (
        pytest.raises(ValueError, match=f"no CPU backend 'mmx' here; expected one of {choices}"),
        cpu.backend("mmx"),
    ):
        pass


def test_the_environment_names_the_backend_of_a_process() -> None:
    program = (
        "import torch; from dien.ops import attention_gru\n"
        "one = torch.ones(1, dtype=torch.int64)\n"
        "attention_gru(torch.zeros(1, 3), torch.zeros(3, 1), None, 0 * one, one, kind='gru')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"DIEN_CPU_BACKEND": "mmx"},
        capture_output=True,
        text=True,
    )
    assert "no CPU backend 'mmx' here" in result.stderr


@pytest.mark.parametrize("trouble", ["missing", "no library", "other sources"])
def test_without_the_library_the_reference_serves_and_the_remedy_is_told_once(
    trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if trouble == "other sources":
        monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    else:
        file = tmp_path / "_kernels.so"
        monkeypatch.setattr(library, "FILE", file)
        if trouble == "no library":
            file.write_bytes(b"text")
    library.load.cache_clear()
    arguments = single("augru", [(0, 3), (1, 1)], 3, 4, requires_grad=False)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = attention_gru(**arguments)
            assert torch.equal(found, attention_gru(**arguments))
    finally:
        library.load.cache_clear()
    (warning,) = caught
    assert "_kernels.so" in str(warning.message)
    assert "install a C++ compiler" in str(warning.message)
    assert_within(found, attention_gru(**doubled(arguments)), 1e-5)
