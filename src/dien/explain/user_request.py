"""A request of a user whose history is looked up in a dataset folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import structs

from dien.data.dataset import Dataset
from dien.data.prepare.append import newest_event
from dien.errors import DataError
from dien.serving import Request
from dien.serving.request import Moment, RawId
from dien.serving.scorer import Scorer
from dien.serving.store.raw_values import decoder


def best_items(scorer: Scorer, request: Request, most: int) -> list[str]:
    """Find the items of the whole catalogue that score best for a request, the best first.

    Args:
        scorer: of the run.
        request: its candidates play no part.
        most: how many items; fewer where the catalogue has fewer.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`.
    """
    ids = scorer.catalogue.item_ids.values[1:].to_list()
    asked = structs.replace(request, candidates=ids, candidate_features=None)
    scores = scorer.score_many([asked])[0]
    return [ids[k] for k in np.argsort(-scores, kind="stable")[:most].tolist()]


def expect_known(scorer: Scorer, items: Sequence[RawId]) -> None:
    """Refuse items that the run does not know: to the model they would all be alike.

    Raises:
        DataError: naming the first of them.
    """
    for item in items:
        if not scorer.catalogue.item_ids.index(item):
            where = scorer.run.path if scorer.data is None else scorer.data.path
            raise DataError(
                f"{where}: no item {str(item)!r} (items/ids.parquet); name one as the log writes it"
            )


def user_request(
    scorer: Scorer,
    dataset: Dataset,
    user: RawId,
    candidates: Sequence[RawId] = (),
    time: Moment | None = None,
) -> Request:
    """Look up what a user has done.

    Context features are not looked up: but for those that follow from the time they are unknown, as a warning
    says.

    Args:
        scorer: of the run.
        dataset: where the behaviours are.
        user: raw id.
        candidates: raw ids.
        time: the history is what came before it; None for the first second after all that the dataset has.

    Returns:
        The request; its time is none where the dataset has an order and no times.

    Raises:
        DataError: the dataset does not have the user, or no behaviour of theirs before the time, or has an
            order and no times where one is given, or each of its rows has a history of its own.
        ValueError: the time is none.
    """
    if dataset.info.own_histories:
        raise DataError(
            f"{dataset.path}: each of its rows has a history of its own, so that none can be looked up for a "
            "user; give the history in a request (dien.explain.explain)"
        )
    if time is not None and not dataset.info.timed:
        raise DataError(
            f"{dataset.path}: its log has an order and no times, so that none is before {time}; "
            "leave the time out (--time)"
        )
    row = dataset.user_ids.index(user)
    if not row:
        raise DataError(
            f"{dataset.path}: no user {str(user)!r} (users/ids.parquet); name one as the log writes it"
        )
    behaviours = dataset.behaviours
    begin, end = int(behaviours.offsets[row]), int(behaviours.offsets[row + 1])
    if time is None:
        now = newest_event(dataset) + 1
    else:
        found = scorer.fields.time.plain(time)
        assert isinstance(found, int)
        now = found
        end = begin + int(np.searchsorted(behaviours.time[begin:end], now, "left"))
    if begin == end:
        when = "" if time is None else f" before {time}"
        raise DataError(f"{dataset.path}: user {str(user)!r} has no behaviours{when}; name another user")
    some = slice(begin, end)
    items = dataset.item_ids.decode(behaviours.item[some].astype(np.int64)).to_list()
    raw: dict[str, Sequence[Any]] = {}
    for field in scorer.fields.behaviours:
        feature = scorer.fields.features[field.name]
        decode = decoder(feature, dataset.vocabularies)
        if decode is None or field.name not in behaviours.features:
            warnings.warn(
                f"{dataset.path}: does not tell the raw values of {field.name}, as they are hashed: they are "
                "unknown in what is explained",
                stacklevel=2,
            )
            continue
        raw[field.name] = decode(behaviours.features[field.name][np.arange(begin, end)])
    timed = dataset.info.timed
    context = {field.name for field in scorer.fields.context}
    lacking = scorer.fields.lacking(context if timed else {*context, scorer.fields.time.name})
    if lacking:
        warnings.warn(
            f"{dataset.path}: behaviours do not tell the context of a request ({', '.join(lacking)}): it is "
            "unknown in what is explained",
            stacklevel=2,
        )
    return Request(
        user=user,
        history=["" if item is None else item for item in items],
        candidates=candidates,
        behaviours=raw,
        times=behaviours.time[some].tolist() if timed else None,
        time=now if timed else None,
    )
