"""What the operators on pairs of rows and steps refuse."""

from __future__ import annotations

from torch import Tensor

from dien.ops.checks import check_alike, check_integers, check_rows, check_shape, refuse, shape


def check_products(keys: Tensor, queries: Tensor, starts: Tensor, lengths: Tensor) -> None:
    """Refuse shapes and types that do not fit ``pair_products``, quoting them and the rule."""
    name = "pair_products"
    if keys.ndim != 2:
        refuse(name, f"keys has shape {shape(keys)}", "[N, H]")
    _check_rows(name, "keys", keys, starts, lengths)
    check_shape(name, "queries", queries, "[B, H]", (lengths.shape[0], keys.shape[1]))
    check_alike(name, ("keys", "queries"), (keys, queries))


def check_sums(values: Tensor, scores: Tensor, starts: Tensor, lengths: Tensor) -> None:
    """Refuse shapes and types that do not fit ``pair_sums``."""
    name = "pair_sums"
    if values.ndim != 2:
        refuse(name, f"values has shape {shape(values)}", "[N, E]")
    _check_rows(name, "values", values, starts, lengths)
    _check_scores(name, scores)
    check_alike(name, ("values", "scores"), (values, scores))


def check_scatter(scores: Tensor, vectors: Tensor, starts: Tensor, lengths: Tensor, steps: int) -> None:
    """Refuse shapes and types that do not fit ``pair_scatter``."""
    name = "pair_scatter"
    _check_scores(name, scores)
    _check_rows(name, "scores", scores, starts, lengths)
    if vectors.ndim != 2 or vectors.shape[0] != lengths.shape[0]:
        refuse(name, f"vectors has shape {shape(vectors)}", f"[B, H] = [{lengths.shape[0]}, H]")
    if steps < 0:
        refuse(name, f"steps={steps}", "N >= 0")
    check_alike(name, ("scores", "vectors"), (scores, vectors))


def check_products_steps(keys: Tensor, starts: Tensor, lengths: Tensor) -> None:
    """Refuse rows that read keys that are not there."""
    check_rows("pair_products", "keys", keys, starts, lengths)


def check_sums_steps(values: Tensor, scores: Tensor, starts: Tensor, lengths: Tensor) -> None:
    """Refuse rows that read values that are not there, or have not a score for each."""
    check_rows("pair_sums", "values", values, starts, lengths, scores)


def check_scatter_steps(scores: Tensor, vectors: Tensor, starts: Tensor, lengths: Tensor, steps: int) -> None:
    """Refuse rows that name steps that are not there, or have not a score for each."""
    result = vectors.new_empty((steps, vectors.shape[1]), device="meta")
    check_rows("pair_scatter", "the result", result, starts, lengths, scores)


def _check_scores(name: str, scores: Tensor) -> None:
    if scores.ndim != 1:
        refuse(name, f"scores has shape {shape(scores)}", "[P]")


def _check_rows(name: str, beside: str, tensor: Tensor, starts: Tensor, lengths: Tensor) -> None:
    if lengths.ndim != 1 or starts.shape != lengths.shape:
        refuse(name, f"starts and lengths have shapes {shape(starts)} and {shape(lengths)}", "[B] both")
    check_integers(name, ("starts", "lengths"), (starts, lengths), beside, tensor.device)
