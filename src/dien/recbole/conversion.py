"""A checkpoint of RecBole's DIEN becomes a run folder, which scores raw ids without RecBole.

RecBole's tables count from 1, as ours do: id ``k`` of a field is index ``k``, and its padding, id 0, becomes
"unknown". Of a table that has no item or user with id 0 RecBole has never trained that row; it becomes zero.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from recbole.data.dataset import DIENDataset
from recbole.utils import FeatureType
from safetensors.torch import save_file
from torch import Tensor

from dien.config import RunConfig, TrainConfig
from dien.data.features import Feature, Multi, Numeric, Schema, Side
from dien.data.features.encoders import Scaled
from dien.data.features.rules import name_problem
from dien.data.ragged import Column, Ragged, to_offsets
from dien.data.vocabulary import Ids, Vocabulary
from dien.data.writer import flat, save_array
from dien.errors import RunError
from dien.models import DIENConfig, build
from dien.places import owned
from dien.recbole.switches import Switches
from dien.run import RESULT, WEIGHTS, Run, new_run
from dien.run_info import FORMAT, RunInfo

_MODULES = {
    "interset_extractor.": "extractor.",
    "interest_evolution.": "evolution.",
    "dnn_mlp_layers.": "head.",
    "dnn_predict_layer.": "logit.",
}
"""Where RecBole's modules stand in :class:`dien.models.DIEN`; below these, names are the same."""

_EMBEDDINGS = "embedding_layer."


def convert(checkpoint: Path | str, out: Path | str, data: Path | str | None = None) -> Run:
    """Make a run folder of a checkpoint that RecBole has saved of its DIEN or of :class:`dien.recbole.DIEN`.

    The checkpoint is a pickle: **reading it runs whatever code it holds**. Raw ids and features are those of
    the data set in it, or, where it holds none as ours do, of the atomic files that its configuration names.

    Args:
        checkpoint: the file.
        out: the run folder to write, whole or not at all; must not exist.
        data: folder of the atomic files, if it has moved.

    Returns:
        The run. For a user, history and candidate it gives what RecBole's ``predict`` gives.

    Raises:
        RunError: ``out`` is taken or cannot be written; the checkpoint cannot be read or is of another model;
            there is no data set, or another one; or a field or key of its configuration has no equal here.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    if out.exists():
        raise RunError(f"{out}: exists already; choose another folder, or remove it")
    saved = _unpickled(checkpoint)
    config, state = saved["config"], saved["state_dict"]
    dataset = _dataset(checkpoint, saved, None if data is None else Path(data))
    both: tuple[Side, ...] = ("item", "user")
    sides = {side: _fields(side, dataset, config, state) for side in both}
    _check_names(sides)
    schema = Schema(tuple(field.feature for fields in sides.values() for field in fields))
    run_config = _run_config(checkpoint, config, schema)
    names = {"item": config["ITEM_ID_FIELD"], "user": config["USER_ID_FIELD"]}
    ids = {side: Ids.of(_tokens(dataset, name)) for side, name in names.items()}

    with torch.random.fork_rng(devices=()):  # its fresh weights are overwritten
        model = build(run_config.model, schema)
    try:
        model.load_state_dict(_weights(state, sides), strict=True)
    except RuntimeError as error:
        raise RunError(f"{checkpoint}: its weights do not fit its configuration: {error}") from error
    of_recbole = {"checkpoint": checkpoint.name, "dataset": config["dataset"], "epoch": saved["epoch"] + 1}
    info = RunInfo(
        format=FORMAT,
        data=None,
        dataset={
            "schema": schema.to_json(),
            "sizes": {f"{side}s": len(of_side) - 1 for side, of_side in ids.items()},
        },
        recbole=of_recbole,
    )
    with owned(out, RunError), new_run(out, run_config, info) as new:
        (new / "vocabularies").mkdir()
        for side, fields in sides.items():
            (new / f"{side}s").mkdir()
            ids[side].save(new / f"{side}s" / "ids.parquet")
            columns = {field.feature.name: field.column for field in fields}
            for name, array in flat(f"{side}s", columns).items():
                save_array(new / f"{name}.npy", array)
            for field in fields:
                if field.vocabulary is not None:
                    field.vocabulary.save(new / "vocabularies" / f"{field.feature.name}.parquet")
        save_file(model.state_dict(), new / WEIGHTS)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        result = {**of_recbole, "parameters": parameters}
        (new / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8", newline="")
    return Run.open(out)


@dataclass(frozen=True)
class _Field:
    """A field that RecBole's model embeds.

    Attributes:
        feature: what it is here.
        column: its values by item or user, row 0 RecBole's padding.
        table: ``[size, width]`` its embeddings; of a number those of "missing" and of 1.
        vocabulary: its values, how many items or users have each; None for a number.
    """

    feature: Feature
    column: Column
    table: Tensor
    vocabulary: Vocabulary | None = None


def _unpickled(checkpoint: Path) -> dict[str, Any]:
    try:
        # Loading refers to RecBole's sequential models, whose import turns anomaly detection on for good.
        with torch.autograd.set_detect_anomaly(False):
            saved = torch.load(checkpoint, map_location="cpu", weights_only=False)
    except OSError as error:
        raise RunError(f"{checkpoint}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # whatever the code of a pickle raises
        raise RunError(
            f"{checkpoint}: cannot be unpickled ({error!r}); expected a checkpoint of RecBole 1.2.1, saved "
            "with versions of its packages like those installed here"
        ) from error
    keys = ("config", "state_dict", "epoch")
    if not isinstance(saved, dict) or any(key not in saved for key in keys):
        raise RunError(f"{checkpoint}: expected a checkpoint of RecBole's, with {', '.join(keys)}")
    if saved["config"]["model"] != "DIEN":
        raise RunError(f"{checkpoint}: of the model {saved['config']['model']}; only DIEN can be converted")
    return saved


def _dataset(checkpoint: Path, saved: dict[str, Any], data: Path | None) -> Any:
    """Take the data set that RecBole leaves in its checkpoints, or build it of the atomic files."""
    layer = (saved.get("other_parameter") or {}).get("embedding_layer")
    if layer is not None and data is None:
        return layer.dataset
    config = saved["config"]
    folder = Path(config["data_path"]) if data is None else data
    if not any(folder.glob(f"{config['dataset']}.*inter")):
        raise RunError(
            f"{folder}: has no {config['dataset']}.inter, and {checkpoint} holds no raw ids; say where the "
            "folder of its data set is (--data)"
        )
    config["data_path"], config["device"] = str(folder), torch.device("cpu")
    config.compatibility_settings()  # names of NumPy's that RecBole uses and that are no more
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas, at RecBole's use of it
            dataset = DIENDataset(config)
            dataset._change_feat_format()
    except (ValueError, KeyError) as error:
        raise RunError(f"{folder}: RecBole cannot build its data set: {error}") from error
    return dataset


def _fields(side: Side, dataset: Any, config: Any, state: dict[str, Tensor]) -> list[_Field]:
    """List the fields of items or users that the model embeds, in the order in which it concatenates them.

    Raises:
        RunError: a field is not representable, or its table is of another size than the data set says.
    """
    features = dataset.get_item_feature() if side == "item" else dataset.get_user_feature()
    of_type: dict[FeatureType, list[str]] = {kind: [] for kind in FeatureType}
    for name in features.interaction:
        kind = dataset.field2type[name]
        if name in config["numerical_features"] or not kind.value.startswith("float"):
            of_type[kind].append(name)
    for name in of_type[FeatureType.FLOAT_SEQ]:
        raise RunError(
            f"{side} field {name}: a float_seq, for which a run has no features; train without it "
            f"(numerical_features without {name}) and convert that"
        )
    kinds = FeatureType.TOKEN, FeatureType.TOKEN_SEQ, FeatureType.FLOAT
    tokens, lists, floats = (of_type[kind] for kind in kinds)

    def tables(names: Sequence[str], key: str) -> Sequence[Tensor]:
        """Take fields' tables out of the one table that RecBole has for them together."""
        sizes = [dataset.num(name) for name in names]
        table = state[f"{_EMBEDDINGS}{key}.weight"] if names else torch.empty(0)
        if sum(sizes) != len(table):
            raise RunError(
                f"{', '.join(names)}: {sum(sizes)} values in the data set, {len(table)} in the checkpoint, "
                "which was trained on other data"
            )
        return torch.split(table, sizes)

    values = {name: features[name].numpy() for name in (*tokens, *lists, *floats)}
    made = []
    for name, table in zip(tokens, tables(tokens, f"token_embedding_table.{side}.embedding"), strict=True):
        made.append(_categorical(name, side, values[name], _tokens(dataset, name), table))
    for number, name in enumerate(lists):
        (table,) = tables([name], f"token_seq_embedding_table.{side}.{number}")
        made.append(_list(name, side, values[name], _tokens(dataset, name), table, config["pooling_mode"]))
    for name, table in zip(floats, tables(floats, f"float_embedding_table.{side}.embedding"), strict=True):
        if name in (config["discretization"] or {}):
            buckets = pl.Series(range(1, len(table)), dtype=pl.Int64).cast(pl.String)
            made.append(_categorical(name, side, values[name][:, 1], buckets, table))
        else:
            made.append(_number(name, side, values[name], table))
    return made


def _categorical(name: str, side: Side, ids: NDArray[Any], values: pl.Series, table: Tensor) -> _Field:
    """Make a feature of RecBole's ids."""
    column = ids.astype(np.int32)
    return _Field(
        Feature(name, side, len(table)),
        column,
        _with_unknown(table, column[1:]),
        _vocabulary(values, column[1:]),
    )


def _list(
    name: str, side: Side, padded: NDArray[np.int64], values: pl.Series, table: Tensor, pooling: Any
) -> _Field:
    """Make a multi-valued feature of RecBole's lists ``[rows, longest]``, filled up with 0."""
    real = padded > 0
    column = Ragged(padded[real].astype(np.int32), to_offsets(real.sum(1)))
    empty = int((~real[1:].any(1)).sum())
    if pooling == "max" and empty:
        raise RunError(
            f"{side} field {name}: {empty} rows have no value, of which RecBole's pooling_mode max makes an "
            "embedding of -1e9; train with another pooling_mode, or give each a value, and convert that"
        )
    return _Field(
        Feature(name, side, len(table), Multi.kind, pooling=pooling),
        column,
        _with_unknown(table, column.values),
        _vocabulary(values, column.values),
    )


def _number(name: str, side: Side, values: NDArray[np.float32], table: Tensor) -> _Field:
    """Make a number of RecBole's ``[rows, 2]``: it and 1, the row of the table that it multiplies."""
    numbers = np.ascontiguousarray(values[:, 0], np.float32)
    if not np.isfinite(numbers).all():
        raise RunError(f"{side} field {name}: holds what is no finite number; RecBole's scores are NaN then")
    # RecBole has filled in the mean where a number was missing: "missing" is never read.
    vectors = torch.stack([torch.zeros_like(table[1]), table[1]])
    return _Field(Feature(name, side, 1, Numeric.kind, encoder=Scaled(0.0, 1.0)), numbers, vectors)


def _tokens(dataset: Any, name: str) -> pl.Series:
    """Raw values of a field by RecBole's id, without its padding."""
    return pl.Series(dataset.field2id_token[name][1:].tolist(), dtype=pl.String)


def _with_unknown(table: Tensor, used: NDArray[np.integer]) -> Tensor:
    """Make row 0 zero, unless an item or a user has it: a missing value, which RecBole has trained."""
    if (used == 0).any():
        return table
    return torch.cat([torch.zeros_like(table[:1]), table[1:]])


def _vocabulary(values: pl.Series, used: NDArray[np.integer]) -> Vocabulary:
    counts = np.bincount(used, minlength=len(values) + 1)
    return Vocabulary(Ids.of(values).values, counts.astype(np.int64))


def _check_names(sides: dict[Side, list[_Field]]) -> None:
    """Refuse fields whose names are no features'."""
    seen: dict[str, str] = {}
    for side, fields in sides.items():
        for name in (field.feature.name for field in fields):
            problem = name_problem(name, seen)
            if problem and name != side:  # the id itself may be named so
                raise RunError(
                    f"{side} field {name}: {problem}; rename it in the data set, train again and convert that"
                )
            seen[name.casefold()] = f"{side} field {name}"


def _run_config(checkpoint: Path, config: Any, schema: Schema) -> RunConfig:
    """Say what RecBole's DIEN is, and its training, in our configuration."""
    widths = tuple(config["mlp_hidden_size"])
    try:
        switches = Switches.of(config)
        model = DIENConfig(
            embedding_size=config["embedding_size"],
            embedding_dropout=0.0,
            max_history=config["MAX_ITEM_LIST_LENGTH"],
            matches=False,
            hidden_size=config["embedding_size"] * len(schema.of("item")),
            gru=config["gru_type"].lower(),
            attention=switches.attention,
            attention_hidden=widths,
            attention_scale=switches.attention_scale,
            auxiliary_weight=config["alpha"],
            auxiliary_hidden=widths,
            auxiliary_activation=switches.auxiliary_activation,
            auxiliary_average=switches.auxiliary_average,
            auxiliary_steps="all",
            auxiliary_score=False,
            behaviour_attention=False,
            pooled_history=switches.pooled_history,
            head_hidden=widths,
            head_activation="silu" if switches.dice == "fixed" else "dice",
            head_batch_norm=True,
            head_dropout=config["dropout_prob"],
        )
        training = TrainConfig(
            batch_size=config["train_batch_size"],
            learning_rate=config["learning_rate"],
            epochs=config["epochs"],
            patience=max(1, config["stopping_step"]),
            auxiliary_negatives="redrawn" if switches.fresh_negatives else "fixed",
            id_dropout=0.0,
            weight_average=None,
            seed=config["seed"],
        )
    except ValueError as error:
        raise RunError(f"{checkpoint}: its configuration has no equal here: {error}") from error
    return RunConfig(model=model, training=training)


def _weights(state: dict[str, Tensor], sides: dict[Side, list[_Field]]) -> dict[str, Tensor]:
    """Name RecBole's weights as :class:`dien.models.DIEN` does."""
    weights = {}
    for name, value in state.items():
        if not name.startswith(_EMBEDDINGS):
            old = next((old for old in _MODULES if name.startswith(old)), "")
            weights[_MODULES.get(old, "") + name.removeprefix(old)] = value
    for side, fields in sides.items():
        part = f"inputs.{'item' if side == 'item' else 'profile'}"
        numbers = [field.table for field in fields if not field.feature.stored.indexed]
        tables = [field.table for field in fields if field.feature.stored.indexed]
        weights |= {f"{part}.tables.{k}.weight": table for k, table in enumerate(tables)}
        weights |= {f"{part}.numbers.{k}.weight": number for k, number in enumerate(numbers)}
    return weights
