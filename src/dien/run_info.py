"""The content of ``run.json``: what a run was trained on, and where its first weights are from."""

from __future__ import annotations

from typing import Any

import msgspec

from dien.data.dataset_info import Count, DatasetInfo, expect_timed
from dien.data.features import Schema
from dien.data.times import FromTime, Times
from dien.errors import RunError
from dien.folders import Folder
from dien.published import current_run

FORMAT = 2


class _Versioned(msgspec.Struct):
    format: int


class Origin(msgspec.Struct, frozen=True):
    """Where the first weights of a run are from (:mod:`dien.training.warm`).

    Attributes:
        run: the earlier run folder.
        rows_after: the second of its last training impression; None where the data has none after it.
    """

    run: str
    rows_after: int | None


class _Sizes(msgspec.Struct):
    items: Count
    users: Count


class _Converted(msgspec.Struct):
    """What is known of the data of a converted run."""

    schema: dict[str, Any]
    sizes: _Sizes
    times: Times | None = None
    from_time: dict[str, FromTime] = {}


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of ``run.json``.

    Attributes:
        format: version of the folder's layout.
        data: the dataset folder it is trained on; None of a converted run, which has none.
        dataset: the ``dataset.json`` of that; of a converted run its ``schema`` and ``sizes`` alone.
        start_from: where its first weights are from; None where they are fresh.
        threads: of torch, that training began with: the last bits of the weights depend on them. None of a
            converted run and one of an earlier version.
        recbole: what a converted run was converted from; None of others.
    """

    format: int
    data: str | None
    dataset: dict[str, Any]
    start_from: Origin | None = msgspec.field(name="from", default=None)
    threads: int | None = None
    recbole: dict[str, Any] | None = None


def read_info(folder: Folder) -> tuple[RunInfo, Schema]:
    """Read the ``run.json`` of a folder, and the schema in it.

    Raises:
        RunError: there is none, it is of another format, or not as training writes it.
        PublishError: there is none, but a damaged ``current.json`` of published models.
    """
    name = "run.json"
    if not (folder.path / name).exists():
        if (model := current_run(folder.path)) != folder.path.resolve():
            raise RunError(
                f"{folder.path}: holds published models; the run folder of the current one is {model}"
            )
        raise RunError(
            f"{folder.path / name}: No such file or directory; name a run folder that dien train wrote"
        )
    content = folder.json(name)
    try:
        version = msgspec.convert(content, _Versioned).format
        if version == FORMAT:
            return _checked(msgspec.convert(content, RunInfo))
    except ValueError as error:
        raise folder.refusal(name, f"not as dien train writes it: {error}") from error
    raise folder.refusal(name, f"format {version}, this version of dien reads {FORMAT}")


def _checked(info: RunInfo) -> tuple[RunInfo, Schema]:
    """Check what is said of the dataset, pass over what is unknown of it, and read its schema.

    Raises:
        ValueError: a field is missing or of the wrong type; the message names it.
    """
    try:
        if info.data is None:
            dataset: DatasetInfo | _Converted = msgspec.convert(info.dataset, _Converted)
        else:
            dataset = msgspec.convert(info.dataset, DatasetInfo)
            info = msgspec.structs.replace(info, dataset=dataset.to_json())
    except ValueError as error:
        raise ValueError(f"dataset: {error}") from error
    try:
        schema = Schema.from_json(dataset.schema)
    except ValueError as error:
        raise ValueError(f"dataset.schema: {error}") from error
    try:
        expect_timed(dataset.from_time, schema)
    except ValueError as error:
        raise ValueError(f"dataset.{error}") from error
    return info, schema
