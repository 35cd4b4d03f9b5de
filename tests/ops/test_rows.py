from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.ops import adam_rows, cpu, gather_rows, sum_by_row
from tests.ops.test_cpu import assert_within, each_backend

WIDTHS = [1, 3, 15, 16, 17, 18, 36, 64]
COUNTS = [0, 1, 2, 127, 128, 129, 700]


def tables_and_lists(
    heights: list[int], widths: list[int], counts: list[int], table_of: list[int], seed: int
) -> tuple[list[Tensor], list[list[Tensor]]]:
    random = torch.Generator().manual_seed(seed)
    tables = [
        torch.randn(V, W, generator=random).requires_grad_() for V, W in zip(heights, widths, strict=True)
    ]
    lists = [[torch.randint(heights[t], (n,), generator=random) for t in table_of] for n in counts]
    return tables, lists


@st.composite
def look_ups(draw: st.DrawFn) -> tuple[list[Tensor], list[list[Tensor]], list[int]]:
    """Tables of one row to 10,000, any of them read by several columns or by none."""
    tables = draw(st.integers(1, 3))
    heights = [draw(st.sampled_from([1, 2, 5, 100, 5_000, 10_000])) for _ in range(tables)]
    widths = [draw(st.sampled_from(WIDTHS)) for _ in range(tables)]
    table_of = draw(st.lists(st.integers(0, tables - 1), min_size=1, max_size=4))
    counts = draw(st.lists(st.sampled_from(COUNTS), min_size=1, max_size=3))
    return *tables_and_lists(heights, widths, counts, table_of, draw(st.integers(0, 999))), table_of


def gradients(tables: list[Tensor], found: tuple[Tensor, ...], probes: list[Tensor]) -> list[Tensor | None]:
    for table in tables:
        table.grad = None
    torch.autograd.backward(found, [probe.to(one.dtype) for probe, one in zip(probes, found, strict=True)])
    return [table.grad for table in tables]


@each_backend
@settings(max_examples=60)
@given(look_up=look_ups())
def test_rows_are_copied_to_the_bit_and_gradients_summed_within_1e_5_of_double_precision(
    backend: str, look_up: tuple[list[Tensor], list[list[Tensor]], list[int]]
) -> None:
    tables, lists, table_of = look_up
    with cpu.backend(backend):
        found = gather_rows(tables, lists, table_of)
    expected = [
        torch.cat([tables[t][i] for t, i in zip(table_of, one, strict=True)], 1).detach() for one in lists
    ]
    assert all(map(torch.equal, found, expected))

    probes = [torch.randn_like(one) for one in expected]
    sparse = gradients(tables, found, probes)
    double = [table.detach().double().requires_grad_() for table in tables]
    dense = gradients(double, gather_rows(double, lists, table_of), probes)
    for t, (one, other) in enumerate(zip(sparse, dense, strict=True)):
        if t not in table_of:
            assert other is None
            assert one is None or one._nnz() == 0
            continue
        assert one is not None
        assert other is not None
        assert_within(one.to_dense(), other.to_dense(), 1e-5, scale=1)
        rows = one._indices()[0]
        read = [column for each in lists for column, of in zip(each, table_of, strict=True) if of == t]
        assert torch.equal(rows, torch.cat(read).unique())  # rising, each once, no other


@each_backend
def test_any_number_of_threads_gives_the_same_bits(backend: str) -> None:
    tables, lists = tables_and_lists([5_000, 7], [18, 18], [9_000, 40, 9_000], [0, 1], 3)
    probes = [torch.randn(len(one[0]), 36) for one in lists]
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with cpu.backend(backend):
            results = gather_rows(tables, lists, [0, 1])
            of_tables = gradients(tables, results, probes)
            table = tables[0].detach().clone()
            moments = torch.zeros_like(table), torch.zeros_like(table), torch.zeros(5_000, dtype=torch.int32)
            of_table = of_tables[0]
            assert of_table is not None
            rows, values = of_table._indices()[0], of_table._values()
            adam_rows(table, rows, values, *moments, step=1, lr=0.1, betas=(0.9, 0.999), eps=1e-8)
        found.append([*(g.to_dense() for g in of_tables if g is not None), table, *moments])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@each_backend
@settings(max_examples=60)
@given(
    width=st.sampled_from(WIDTHS),
    height=st.sampled_from([1, 2, 300]),
    idle=st.sampled_from([0, 1, 5, 1022, 1023, 1024, 20_000]),
    seed=st.integers(0, 999),
)
def test_an_update_is_that_of_plain_pytorch_in_double_precision(
    backend: str, width: int, height: int, idle: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    table, mean, square = (torch.randn(height, width, generator=random) for _ in range(3))
    rows = torch.randperm(height, generator=random)[: height // 2 + 1].sort().values
    gradient = torch.randn(len(rows), width, generator=random)
    touched = torch.randint(0, 4, (height,), generator=random, dtype=torch.int32)
    of_float = [table, mean, square.square()]
    of_double = [tensor.double() for tensor in of_float]
    seen = touched.clone(), touched.clone()
    for tensors, grad, steps in ((of_float, gradient, seen[0]), (of_double, gradient.double(), seen[1])):
        with cpu.backend(backend):
            adam_rows(
                tensors[0],
                rows,
                grad,
                *tensors[1:],
                steps,
                step=idle + 4,
                lr=0.01,
                betas=(0.9, 0.999),
                eps=1e-8,
            )
    assert torch.equal(*seen)
    for one, other in zip(of_float, of_double, strict=True):
        assert_within(one, other, 1e-6, scale=1)


@each_backend
@settings(max_examples=40)
@given(
    indices=st.lists(st.integers(0, 20), max_size=40),
    width=st.sampled_from(WIDTHS),
    transposed=st.booleans(),
)
def test_values_are_summed_by_row(backend: str, indices: list[int], width: int, transposed: bool) -> None:
    index = torch.tensor(indices, dtype=torch.int64)
    values = torch.randn(width, len(index)).t() if transposed else torch.randn(len(index), width)
    with cpu.backend(backend):
        rows, sums = sum_by_row(index, values, 21)
    assert torch.equal(rows, index.unique())
    assert_within(
        sums, torch.stack([*(values[index == r].sum(0) for r in rows), values.sum(0)])[:-1], 1e-6, 1
    )


def test_two_gradients_of_a_table_are_added() -> None:
    (table,), lists = tables_and_lists([50], [18], [30, 30], [0], 1)
    for one in lists:
        gather_rows([table], [one], [0])[0].sum().backward()
    counts = torch.cat([one[0] for one in lists]).bincount(minlength=50).float()
    assert table.grad is not None
    assert torch.equal(table.grad.to_dense(), counts[:, None].expand(-1, 18))


@pytest.mark.parametrize("backend", cpu.backends())
@pytest.mark.parametrize("index", [-1, 4, 2**62])
def test_an_index_out_of_range_is_refused_before_any_memory_is_read(backend: str, index: int) -> None:
    tables, lists = tables_and_lists([9, 4], [2, 3], [200], [0, 1], 0)
    lists[0][1][150] = index
    with cpu.backend(backend):
        with pytest.raises(
            IndexError, match=rf"column 1 has index {index} at position 150; expected 0 to 3,"
        ):
            gather_rows(tables, lists, [0, 1])
        moments = torch.zeros(4, 3), torch.zeros(4, 3), torch.zeros(4, dtype=torch.int32)
        if backend != "reference":
            with pytest.raises(IndexError, match=rf"sum_by_row has index {index} at position 1"):
                sum_by_row(torch.tensor([3, index, 1]), torch.zeros(3, 3), 4)
            with pytest.raises(IndexError, match=rf"adam_rows has index {index} at position 0"):
                adam_rows(
                    tables[1].detach(),
                    torch.tensor([index]),
                    torch.zeros(1, 3),
                    *moments,
                    step=1,
                    lr=0.1,
                    betas=(0.9, 0.999),
                    eps=1e-8,
                )


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            [[torch.tensor([1, 2]), torch.tensor([1])]],
            r"shapes \[\[2\], \[1\]\]; expected \[n\] for each of 2",
        ),
        ([[torch.tensor([1])]], r"shapes \[\[1\]\]; expected"),
        ([[torch.tensor([[1]]), torch.tensor([[1]])]], r"expected \[n\]"),
        ([[torch.tensor([1]), torch.tensor([1], dtype=torch.int32)]], r"torch.int32; expected torch.int64"),
    ],
    ids=["of two lengths", "too few", "of two dimensions", "of another type"],
)
def test_indices_that_do_not_fit_are_refused(lists: list[list[Tensor]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gather_rows([torch.zeros(3, 2), torch.zeros(3, 2)], lists, [0, 1])
