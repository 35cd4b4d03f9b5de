"""One good call of every operator, directly and by its public function, and ways to spoil an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from dien.ops import (
    adam_rows,
    attention_gru,
    attention_gru_layer,
    auxiliary_loss,
    gather_rows,
    linear,
    matches,
    mlp_attention,
    pair_products,
    pair_scatter,
    pair_sums,
    reset_before_gru_layer,
    segment_softmax,
    segment_sum,
    sum_by_row,
)
from dien.ops.mlp import MLPTail

N, B, P, D, H, W, M, V = 5, 3, 7, 4, 2, 3, 6, 9
STARTS, LENGTHS = torch.tensor([0, 1, 4]), torch.tensor([3, 4, 0])


def numbers(*shape: int) -> Tensor:
    random = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=random)


TAIL = [numbers(M, W), numbers(1, M), numbers(M), numbers(1), numbers(W), numbers(M)]
GRU = (numbers(N, D), numbers(3 * H, D), numbers(3 * H, H), numbers(3 * H), numbers(3 * H))
REST = (STARTS, LENGTHS, numbers(P).sigmoid(), numbers(B, H), "augru")
ATTENTION = (numbers(N, H), numbers(B, H), numbers(B, W), numbers(W, H), numbers(W, H), STARTS, LENGTHS)
INDICES = [torch.tensor([8, 0, 8]), torch.tensor([1, 1, 0])]
ADAM = (numbers(V, H), torch.tensor([1, 4, 6]), numbers(3, H), numbers(V, H), numbers(V, H).square())

VALUES_OF = (torch.tensor([3, 1, 3, 0, 2, 2]), torch.tensor([0, 2, 2, 3, 5, 6]), torch.tensor([0, 3, 5]))
MATCHES = (*VALUES_OF, torch.tensor([3, 2, 1, 0, 3]), torch.tensor([0, 2, 3, 5]), torch.tensor([0, 1, 1]))

DIRECT: dict[str, tuple[Any, ...]] = {
    "attention_gru": (*GRU, *REST, True, True),
    "attention_gru_backward": (
        *(*GRU, *REST),
        *(numbers(B, H), numbers(P, H), numbers(P, H), numbers(P, 4 * H)),
    ),
    "auxiliary_loss": (
        *(numbers(N, H), numbers(N, D), numbers(N, D), numbers(W, H + D), numbers(W)),
        *(torch.tensor([0, 2]), TAIL, "prelu", 1, True),
    ),
    "gather_rows": ([numbers(V, H), numbers(2, D)], [*INDICES, *INDICES], [0, 1]),
    "linear": (numbers(N, D), numbers(H, D), numbers(H)),
    "linear_backward": (numbers(N, H), numbers(N, D), numbers(H, D), True, True, True),
    "matches": MATCHES,
    "mlp_attention": (*ATTENTION, TAIL, "prelu"),
    "mlp_attention_backward": (*ATTENTION, TAIL, "prelu", numbers(P)),
    "pair_products": (numbers(N, H), numbers(B, H), STARTS, LENGTHS),
    "pair_scatter": (numbers(P), numbers(B, H), STARTS, LENGTHS, N),
    "pair_sums": (numbers(N, H), numbers(P), STARTS, LENGTHS),
    "reset_before_gru": (*GRU, *REST, "all"),
    "segment_softmax": (numbers(P), LENGTHS),
    "segment_softmax_backward": (numbers(P), numbers(P).sigmoid(), LENGTHS),
    "segment_sum": (numbers(P, H), LENGTHS),
    "sum_by_row": ([numbers(3, H), numbers(3, D), numbers(3, H)], [*INDICES, INDICES[0]], [0, 1, 0], [V, 2]),
    "adam_rows": (*ADAM, torch.tensor([0, 2, 0, 0, 1, 0, 0, 0, 0]).int(), 3, 0.1, 0.9, 0.999, 1e-8),
}
"""Of every operator, by name, its arguments as ``torch.ops.dien.NAME`` takes them."""

PUBLIC: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "attention_gru": (
        lambda *a: attention_gru(*a[:6], state=a[6]),
        (numbers(N, 3 * H), *GRU[2:3], numbers(3 * H), STARTS, LENGTHS, numbers(P).sigmoid(), numbers(B, H)),
    ),
    "attention_gru_layer": (
        lambda *a: attention_gru_layer(*a[:8], state=a[8], outputs="all"),
        (*GRU, *REST[:4]),
    ),
    "reset_before_gru_layer": (lambda *a: reset_before_gru_layer(*a[:8], state=a[8]), (*GRU, *REST[:4])),
    "auxiliary_loss": (
        lambda *a: auxiliary_loss(*a[:4], 1, *a[4:6], MLPTail.of("prelu", a[6])),
        (
            numbers(N, H),
            numbers(N, D),
            numbers(N, D),
            torch.tensor([0, 2]),
            numbers(W, H + D),
            numbers(W),
            TAIL,
        ),
    ),
    "gather_rows": (
        lambda tables, one, two: gather_rows(tables, [one, two], [0, 1]),
        ([numbers(V, H), numbers(2, D)], INDICES, INDICES),
    ),
    "linear": (linear, (numbers(N, D), numbers(H, D), numbers(H))),
    "matches": (matches, (torch.tensor([3, 1, 3, 0, 2]), *MATCHES[2:3], torch.tensor([3, 2, 0]), MATCHES[5])),
    "mlp_attention": (
        lambda *a: mlp_attention(*a[:6], MLPTail.of("prelu", a[6])),
        (numbers(N, H), numbers(B, H), STARTS, LENGTHS, numbers(W, 4 * H), numbers(W), TAIL),
    ),
    "pair_products": (pair_products, DIRECT["pair_products"]),
    "pair_scatter": (lambda *a: pair_scatter(*a, N), DIRECT["pair_scatter"][:4]),
    "pair_sums": (pair_sums, DIRECT["pair_sums"]),
    "segment_softmax": (segment_softmax, DIRECT["segment_softmax"]),
    "segment_sum": (segment_sum, DIRECT["segment_sum"]),
    "sum_by_row": (lambda i, v: sum_by_row(i, v, 4), (torch.tensor([3, 1, 3]), numbers(3, 2))),
    "sum_by_row, rising": (lambda i, v: sum_by_row(i, v, 4), (torch.tensor([0, 1, 3]), numbers(3, 2))),
    "adam_rows": (
        lambda *a: adam_rows(*a, step=3, lr=0.1, betas=(0.9, 0.999), eps=1e-8),
        DIRECT["adam_rows"][:6],
    ),
}
"""Of every public function, what calls it and the tensors it is called with."""


def direct(name: str) -> Callable[..., Any]:
    operator: Callable[..., Any] = getattr(torch.ops.dien, name)
    return operator


def leaves(given: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Every tensor among arguments, and where it stands."""
    for at, one in enumerate(given):
        if isinstance(one, Tensor):
            yield (*path, at), one
        elif isinstance(one, list):
            yield from leaves(one, (*path, at))


def replaced(given: Any, path: tuple[int, ...], tensor: Any) -> Any:
    """The arguments with another tensor at one place."""
    at, *deeper = path
    changed = list(given)
    changed[at] = replaced(changed[at], tuple(deeper), tensor) if deeper else tensor
    return type(given)(changed)


def copied(given: Any) -> Any:
    """The arguments with tensors of their own, as they lie."""
    if isinstance(given, Tensor):
        return given.clone() if given.layout is torch.strided and given.device.type == "cpu" else given
    return type(given)(copied(one) for one in given) if isinstance(given, list | tuple) else given


SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "one row less": lambda t: t[:-1],
    "one row more": lambda t: torch.cat([t, t[:1]]),
    "no rows": lambda t: t[:0],
    "one column less": lambda t: t[..., :-1],
    "one column more": lambda t: torch.cat([t, t[..., :1]], -1),
    "a dimension more": lambda t: t[..., None],
    "flat": lambda t: t.reshape(-1),
    "a number": lambda t: t.reshape(-1)[0],
    "transposed": lambda t: t.t() if t.ndim == 2 else t[None],
}
TYPES: dict[str, Callable[[Tensor], Tensor]] = {
    str(dtype): (lambda t, dtype=dtype: t.to(dtype))  # type: ignore[misc]
    for dtype in (
        *(torch.float64, torch.float16, torch.bfloat16, torch.complex64),
        *(torch.int64, torch.int32, torch.uint8, torch.bool),
    )
}
PLACES: dict[str, Callable[[Tensor], Tensor]] = {
    "without memory": lambda t: t.to("meta"),
    "sparse": lambda t: t.to_sparse(),
    "far apart": lambda t: torch.stack([t, t], -1)[..., 0],
    "backwards in memory": lambda t: t.t().contiguous().t() if t.ndim == 2 else t,
    "one value everywhere": lambda t: t.reshape(-1)[:1].expand(t.shape),
}
VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    f"{value} at {at}": (
        lambda t, value=value, at=at: t.clone().index_fill_(0, torch.tensor([at % len(t)]), value)  # type: ignore[misc]
    )
    for value in (-1, 1, N, V, 10**9, 2**62, 2**63 - 1, -(2**63))
    for at in (0, -1)
}
