"""Slices of a split, to see where a model is good: by length of history, and by what is known of the item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.data.ragged import row_of

_BANDS = {"none": 0, "1 to 4": 1, "5 to 19": 5, "20 to 49": 20, "50 and more": 50}
"""Bands of history lengths, and where they begin."""

_ITEM = "item: in the history", "item: not in the history", "item: unknown"

AGAINST_KNOWN = "unknown clicked, known not"
"""Clicks of unknown items against non-clicks of known ones. It is chosen by labels, so its scores rank alone:
LogLoss and calibration would say nothing. ``item: unknown`` has the unknown items among themselves."""

SLICES = (*(f"history: {name}" for name in _BANDS), *_ITEM, AGAINST_KNOWN)
"""Their names, in the order to show them."""


def slices_of(batch: Batch, schema: Schema) -> dict[str, NDArray[np.bool_]]:
    """Divide the candidates of a batch into slices.

    Args:
        batch: ``B`` candidates, with histories as the model reads them.
        schema: of its features.

    Returns:
        Name of a slice -> ``[B]`` who is in it. Every candidate is in one whose name begins ``history:``, by
        the number of behaviours, and in one that begins ``item:``: whether it is among these, not among
        them, or unknown (its id has no index, as where training has not seen it). Beside these there is
        :data:`AGAINST_KNOWN`, where the batch has labels. Where the data has no index of its own for each
        item (ids that are hashed, or all too rare), there are only those by history.
    """
    history_of, lengths = batch.history_of.numpy(), np.diff(batch.offsets.numpy())  # [B], [R]
    band = np.searchsorted(list(_BANDS.values()), lengths, "right")[history_of] - 1  # [B]
    slices = {f"history: {name}": band == number for number, name in enumerate(_BANDS)}
    item_id = schema.id_of("item")
    if item_id is None or item_id.vocabulary is None:
        return slices
    target, steps = batch.target[item_id.name], batch.history[item_id.name]  # [B], [N]
    assert isinstance(target, Tensor)  # an id is categorical
    assert isinstance(steps, Tensor)
    known = target.numpy() > 0
    repeated = np.isin(  # one number for each pair of history and item
        history_of * item_id.size + target.numpy(),
        row_of(lengths) * item_id.size + steps.numpy(),
    )
    slices |= dict(zip(_ITEM, (known & repeated, known & ~repeated, ~known), strict=True))
    if batch.label is not None:
        slices[AGAINST_KNOWN] = known == (batch.label.numpy() == 0)
    return slices
