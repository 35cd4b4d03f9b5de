"""Packed sequences: values and offsets, as torchrec's jagged tensors. No layer computes on padding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


def lengths_to_offsets(lengths: Tensor) -> Tensor:
    """Turn lengths into offsets.

    Args:
        lengths: ``[R]`` integers >= 0, the number of steps of each sequence.

    Returns:
        ``[R + 1]`` int64; sequence ``r`` owns the steps ``offsets[r] : offsets[r + 1]``.
    """
    offsets = torch.zeros(lengths.shape[0] + 1, dtype=torch.int64, device=lengths.device)
    torch.cumsum(lengths, 0, out=offsets[1:])
    return offsets


def row_of_step(lengths: Tensor, steps: int | None = None) -> Tensor:
    """Name, for every packed step, the sequence that owns it.

    Args:
        lengths: ``[R]`` integers >= 0.
        steps: ``N``, for lengths without values (device ``meta``); None to add them up.

    Returns:
        ``[N]`` int64 with ``N = lengths.sum()``.
    """
    row = torch.repeat_interleave(lengths, output_size=steps)
    return row if row.dtype == torch.int64 else row.to(torch.int64)


def padding_mask(lengths: Tensor, max_length: int) -> Tensor:
    """Mark the real steps of padded sequences.

    Args:
        lengths: ``[R]`` integers, each between 0 and ``max_length``.
        max_length: the padded length ``T``.

    Returns:
        ``[R, T]`` bool, true where a step is real.
    """
    return torch.arange(max_length, device=lengths.device) < lengths[:, None]


def check_lengths(padded: Tensor, lengths: Tensor) -> None:
    """Refuse lengths that do not fit padded sequences.

    Args:
        padded: ``[R, T, ...]``.
        lengths: ``[R]``.

    Raises:
        ValueError: a length is negative or exceeds ``T``, or there is not one length a sequence.
    """
    R, T = padded.shape[:2]
    if lengths.shape != (R,):
        raise ValueError(
            f"lengths has shape {list(lengths.shape)}, expected [{R}]: one length for each sequence "
            f"of the padded {list(padded.shape)}"
        )
    if R and not torch.compiler.is_compiling():
        low, high = (int(x) for x in torch.aminmax(lengths))
        if low < 0 or high > T:
            raise ValueError(f"lengths run from {low} to {high}, expected 0 to T = {T}")


@dataclass(frozen=True)
class Packed:
    """Sequences of different lengths, one after the other.

    Attributes:
        values: ``[N, ...]`` the steps of all sequences.
        offsets: ``[R + 1]`` int64, starting at 0 and ending at ``N``; sequence ``r`` is
            ``values[offsets[r] : offsets[r + 1]]``.
    """

    values: Tensor
    offsets: Tensor

    @classmethod
    def from_padded(cls, padded: Tensor, lengths: Tensor) -> Packed:
        """Drop the padding.

        Args:
            padded: ``[R, T, ...]`` sequences filled up at their end.
            lengths: ``[R]`` real steps of each, between 0 and ``T``.

        Raises:
            ValueError: a length is negative or exceeds ``T``, or there is not one length a sequence.
        """
        check_lengths(padded, lengths)
        T = padded.shape[1]
        return cls(padded[padding_mask(lengths, T)], lengths_to_offsets(lengths))

    @property
    def lengths(self) -> Tensor:
        """``[R]`` steps of each sequence."""
        return self.offsets[1:] - self.offsets[:-1]

    def to_padded(self, max_length: int) -> Tensor:
        """Fill sequences up with zeros.

        Args:
            max_length: the padded length ``T``, at least the longest sequence.

        Returns:
            ``[R, T, ...]``.
        """
        lengths = self.lengths
        padded = self.values.new_zeros((lengths.shape[0], max_length, *self.values.shape[1:]))
        padded[padding_mask(lengths, max_length)] = self.values
        return padded

    def newest(self) -> Tensor:
        """Take the last step of each sequence, zero where it has none.

        Returns:
            ``[R, ...]``.
        """
        padded = torch.cat([self.values.new_zeros(1, *self.values.shape[1:]), self.values])
        end = torch.where(self.lengths > 0, self.offsets[1:], 0)  # [R] steps from 1
        return padded.index_select(0, end)


@dataclass(frozen=True)
class Pairs:
    """Every (row, step) of candidates that share histories.

    ``B`` rows (candidates) read ``R`` histories; row ``b`` reads the steps
    ``starts[b] : starts[b] + lengths[b]``, and two rows may read the same ones. The ``P`` pairs stand row
    after row, each row's in time order. The C++ operators take the pairs from the rows: ``row`` and ``step``
    are listed once somebody asks.

    Attributes:
        starts: ``[B]`` first step of each row.
        lengths: ``[B]`` steps of each row, may be 0.
    """

    starts: Tensor
    lengths: Tensor

    @cached_property
    def row(self) -> Tensor:
        """``[P]`` the row of each pair."""
        return row_of_step(self.lengths)

    @cached_property
    def step(self) -> Tensor:
        """``[P]`` the packed step of each pair."""
        row = self.row
        first_pair = torch.cumsum(self.lengths, 0) - self.lengths  # [B]
        within = torch.arange(row.shape[0], device=row.device) - first_pair[row]  # [P]
        return self.starts[row] + within

    @classmethod
    def of_histories(cls, offsets: Tensor, history_of: Tensor | None = None) -> Pairs:
        """List the pairs of candidates with whole histories.

        Args:
            offsets: ``[R + 1]`` of the packed histories.
            history_of: ``[B]`` the history of each candidate; None where candidate ``b`` has history ``b``.
        """
        starts, lengths = offsets[:-1], offsets[1:] - offsets[:-1]
        if history_of is not None:
            starts, lengths = starts[history_of], lengths[history_of]
        return cls(starts, lengths)
