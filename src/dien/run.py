"""The run folder: written by training, read by everything after it. It alone is enough to score raw ids.

``dien convert-recbole`` writes one, too, with no dataset, checkpoints or metrics.

::

    RUN/
      run.json             format version, where the dataset lies (null where there is none), its dataset.json
      config.yaml          model and training, every key
      items/, users/, vocabularies/   as in the dataset folder (docs/data-format.md)
      metrics.jsonl        a record every 100 steps and at each epoch's end; also metrics.csv, tensorboard/
      checkpoints/         the newest, to go on from, and the weights of the best epoch
      model.safetensors    those weights with their calibration, once training has ended: what scoring reads
      popularity.safetensors  with model.popularity: when everyone had which item (dien.popularity_file)
      booster.safetensors  the teacher's (the booster), with Rocket Launching: only a warm start reads it
      result.json          the result of training, written last: there is one when the run is finished
      test.json            metrics of the test split, where dien compare has made the run
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from torch import Tensor

from dien.calibration import from_texts
from dien.config import RunConfig, TrainConfig, override, read_mapping
from dien.data import item_names
from dien.data.changing import Attributes
from dien.data.dataset import Dataset, attributes, load_vocabularies
from dien.data.features import Schema, Side
from dien.data.item_names import ItemNames
from dien.data.popularity import Popularity, popularity_of
from dien.data.validity import wrong_features
from dien.data.vocabulary import Ids, Vocabulary
from dien.errors import ConfigError, RunError
from dien.folders import Folder
from dien.models import Model, build
from dien.models.registry import config_classes
from dien.models.space import shown
from dien.places import making
from dien.popularity_file import POPULARITY, read_popularity, write_popularity
from dien.run_info import FORMAT, Origin, RunInfo, read_info
from dien.tensors import expect_tensors, read_tensors

WEIGHTS = "model.safetensors"
RESULT = "result.json"


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder; :meth:`create` and :meth:`open` make one.

    Attributes:
        path: the folder.
        config: what it is trained with.
        schema: the features of its data.
        info: the content of ``run.json``.
    """

    path: Path
    config: RunConfig
    schema: Schema
    info: RunInfo

    def __new__(cls, *positional: Any, **fields: Any) -> Run:
        """Refuse a path alone: the fields are not read by the constructor."""
        if len(positional) == 1 and not fields:
            raise TypeError(f"Run takes no path alone; Run.open({str(positional[0])!r}) opens a run folder")
        return super().__new__(cls)

    def __repr__(self) -> str:
        state = "finished" if self.finished else "not finished"
        return f"Run({str(self.path)!r}: {self.config.model.name}, {state})"

    @classmethod
    def create(
        cls,
        path: Path,
        config: RunConfig,
        data: Dataset,
        start_from: Origin | None = None,
        threads: int | None = None,
    ) -> Run:
        """Start a run: everything but weights, whole or not at all.

        Args:
            path: the folder, which must not exist.
            config: model and training.
            data: what it will be trained on.
            start_from: where its first weights are from; None where they are fresh.
            threads: of torch, that it will be trained with.

        Raises:
            RunError: ``path`` is taken or cannot be written.
            DataError: another dataset has taken the place of ``data`` since it was opened.
            ConfigError: ``model.popularity`` is set, and no behaviour has a time.
        """
        if path.exists():
            raise RunError(
                f"{path}: exists already; choose another folder, remove it, or go on with it "
                "(--resume, from Python resume=True)"
            )
        info = RunInfo(
            format=FORMAT,
            data=str(data.path.resolve()),
            dataset=data.info.to_json(),
            start_from=start_from,
            threads=threads,
        )
        with new_run(path, config, info) as new:
            (new / "checkpoints").mkdir()
            for file in _catalogue(data.schema, info):
                _copy(data, file, new / file)
            if config.model.popularity:
                write_popularity(new / POPULARITY, popularity_of(data))
            data.expect_unchanged()
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run, finished or not.

        Raises:
            RunError: the folder is no run folder, or something in it is missing or of another version.
            TypeError: ``path`` is none.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"Run.open: found a {type(path).__name__}; expected the path of a run folder")
        path = Path(path)
        folder = run_folder(path)
        info, schema = read_info(folder)
        stored = path / "config.yaml"
        folder.expect_file("config.yaml")
        try:
            config = override(RunConfig(), [with_new_keys(read_mapping(stored))], where=f"{stored}: ")
        except ConfigError as error:
            raise RunError(str(error)) from error
        for file in _catalogue(schema, info):
            folder.expect_file(file)
        return cls(path, config, schema, info)

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return (self.path / RESULT).is_file()

    @property
    def scoring_files(self) -> list[str]:
        """The files of a finished run that scoring needs, by their path in the folder."""
        popularity = [POPULARITY] if self.config.model.popularity else []
        return ["run.json", "config.yaml", *_catalogue(self.schema, self.info), *popularity, WEIGHTS, RESULT]

    def dataset(self, given: Dataset | Path | str | None = None) -> Dataset:
        """Open the dataset that this run was trained on.

        Args:
            given: it, or its folder, where that has moved or has grown; None where it lies where it was.

        Raises:
            RunError: none is given, and it is no longer there, or the run was converted and has none.
            DataError: it cannot be read.
        """
        if isinstance(given, Dataset):
            return given
        if given is None:
            if self.info.data is None:
                raise RunError(f"{self.path}: converted, so it has no dataset; score requests (dien score)")
            given = Path(self.info.data)
            if not given.is_dir():
                raise RunError(
                    f"{given}: the dataset of {self.path} is no longer there; say where it is (--data)"
                )
        return Dataset.open(given)

    def options(self) -> str:
        """Write the options that give a command the configuration of this run.

        ``config.yaml`` of an earlier version lacks the keys that are new since, whose defaults may be other
        than what it did.
        """
        usual = override(RunConfig(), [read_mapping(self.path / "config.yaml")])
        other = differences(self.config.model_dump(mode="json"), usual.model_dump(mode="json"))
        settings = [f" --set {name}={shown(value)}" for name, value, _ in other]
        return f"--config {self.path / 'config.yaml'}{''.join(settings)}"

    def expect_data(self, data: Dataset) -> None:
        """Refuse a dataset that is not what this run was started on, wherever it lies.

        That its items have names, and the run's had none, makes it no other: no model reads them.

        Raises:
            RunError: naming what of its ``dataset.json`` differs.
        """
        names = {"item_names": None}
        for key, was, now in differences(self.info.dataset | names, data.info.to_json() | names):
            raise RunError(
                f"{data.path}: not the dataset that {self.path} was started on: {key} of its dataset.json "
                f"was {was!r}, is {now!r}; the same index would mean another item"
            )

    def load_model(self, *, training: bool = False) -> Model:
        """Build the model with its trained weights and its calibration, in evaluation mode.

        Args:
            training: whether to load what only training needs as well, as the booster of Rocket Launching;
                without, it is what scores. Most models are the same either way.

        Raises:
            RunError: training has not ended, or the weights cannot be read, do not fit the configuration or
                hold a NaN; the message names the file and the tensor.
        """
        config = self.config.model
        if not self.finished:
            raise RunError(f"{self.path}: training has not ended; go on with dien train ... --resume")
        try:
            with torch.random.fork_rng(devices=()):  # its fresh weights are overwritten
                model = build(config if training else config.serving(), self.schema)
        except (RuntimeError, MemoryError, ValueError) as error:
            raise RunError(f"{self.path / 'config.yaml'}: cannot build the model: {error}") from error
        parts = {WEIGHTS: dict(model.state_dict())}
        if only := model.training_only:
            apart = [name for name in parts[WEIGHTS] if name.startswith(f"{only}.")]
            parts[training_weights(only)] = {name: parts[WEIGHTS].pop(name) for name in apart}
        weights: dict[str, Tensor] = {}
        for file, expected in parts.items():
            found, texts = read_tensors(self.folder, file)
            expect_tensors(self.folder, file, found, expected)
            weights |= found
            if file == WEIGHTS:
                try:
                    model.calibration = from_texts(texts)
                except (ValueError, RecursionError) as error:
                    raise self.folder.refusal(file, f"its calibration: {error}") from error
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise self.folder.refusal(WEIGHTS, f"does not fit config.yaml: {error}") from error
        return model.eval()

    @property
    def version(self) -> str:
        """What tells the weights and the configuration from others, by what they hold."""
        digest = hashlib.blake2b(digest_size=6)
        for name in (WEIGHTS, "config.yaml", "run.json"):
            with self.folder.open(name) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    @property
    def folder(self) -> Folder:
        """The folder, to read files of it that somebody else may have made."""
        return run_folder(self.path)

    @cached_property
    def items(self) -> Attributes:
        """Item features of the item rows."""
        return self._table("items", "item")

    @cached_property
    def users(self) -> Attributes:
        """User features of the user rows."""
        return self._table("users", "user")

    @cached_property
    def item_ids(self) -> Ids:
        """Raw ids of the item rows."""
        return Ids.load(self.folder, "items/ids.parquet", self._rows("items"))

    @cached_property
    def user_ids(self) -> Ids:
        """Raw ids of the user rows."""
        return Ids.load(self.folder, "users/ids.parquet", self._rows("users"))

    @cached_property
    def names(self) -> ItemNames | None:
        """Names of the items; None where the log has none."""
        return ItemNames.load(self.folder, self.item_ids) if _named(self.info) else None

    @cached_property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Every vocabulary by the feature that owns it."""
        return load_vocabularies(self.folder, self.schema)

    @cached_property
    def popularity(self) -> Popularity:
        """The behaviours that popularity is counted over, of a run with ``model.popularity``."""
        return read_popularity(self.folder, self.schema.matched)

    def _table(self, name: str, side: Side) -> Attributes:
        """Read the features of a side whole, and check them: no score is read from beyond a table."""
        # Read, not mapped: a file that is changed or cut short later changes no score and ends no process.
        features = self.schema.of(side)
        table = attributes(self.folder, name, features, self._rows(name), mapped=False)
        for file, what in wrong_features(features, name, table):
            raise self.folder.refusal(file, f"{what} (docs/data-format.md)")
        return table

    def _rows(self, name: str) -> int:
        return int(self.info.dataset["sizes"][name]) + 1


def run_folder(path: Path) -> Folder:
    """Give the folder of a run, to read files of it that somebody else may have made."""
    return Folder(path, RunError, "copy the run folder again, or train again")


@contextmanager
def new_run(path: Path, config: RunConfig, info: RunInfo) -> Iterator[Path]:
    """Hand out a folder with ``config.yaml`` and ``run.json`` that becomes the run ``path`` when complete.

    Args:
        path: the folder, which must not exist; who calls this owns it (:func:`dien.places.owned`).
        config: model and training.
        info: content of ``run.json``.

    Raises:
        RunError: ``path`` cannot be written; nothing is left of it, as after any other exception.
    """
    try:
        with making(path, RunError) as place, place.building() as new:
            (new / "config.yaml").write_text(config.to_yaml(), encoding="utf-8", newline="")
            text = json.dumps(msgspec.to_builtins(info), indent=2)
            (new / "run.json").write_text(text + "\n", encoding="utf-8", newline="")
            yield new
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: could not be written ({error}); nothing is left of it") from error


_BEFORE: dict[str, dict[str, Any]] = {
    "model": {
        "embedding_dropout": 0.0,
        "matches": False,
        "match_dropout": 0.0,
        "auxiliary_steps": "all",
        "auxiliary_score": False,
        "behaviour_attention": False,
    },
    "training": {"id_dropout": 0.0, "weight_average": None},
}
"""What models and training did before there were these keys, whose defaults are something else."""


def with_new_keys(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a configuration of an earlier version means by the keys that it lacks.

    Args:
        stored: a :class:`~dien.config.RunConfig` as plain data, of this version of dien or an earlier one.

    Returns:
        The same, with the keys whose defaults are not what was done before.
    """
    told = dict(stored)
    model = stored.get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    kind = config_classes().get(name) if isinstance(name, str) else None
    keys = {"model": kind.model_fields if kind else {}, "training": TrainConfig.model_fields}
    for part, before in _BEFORE.items():
        if isinstance(kept := stored.get(part), Mapping):
            told[part] = {key: value for key, value in before.items() if key in keys[part]} | dict(kept)
    return told


def training_weights(name: str) -> str:
    """Name the file of the weights of a submodule that only training needs."""
    return f"{name}.safetensors"


def differences(was: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """List what differs between two nested mappings: dotted key, old and new value.

    Features are compared name by name, then in their order; other lists as a whole.
    """
    if key == "schema.features" and (old := _by_name(was)) and (new := _by_name(now)):
        yield from differences(old, new, key)
        if old.keys() == new.keys() and list(old) != list(new):
            yield f"the order of {key}", list(old), list(new)
    elif isinstance(was, dict) and isinstance(now, dict):
        for name in {**was, **now}:
            yield from differences(was.get(name), now.get(name), f"{key}.{name}" if key else name)
    elif was != now:
        yield key, was, now


def _by_name(value: Any) -> dict[str, dict[str, Any]] | None:
    """Give a list of mappings by their names; None where it is no such list, or two have one name."""
    if not isinstance(value, list) or not all(isinstance(one, dict) and "name" in one for one in value):
        return None
    named = {one["name"]: one for one in value}
    return named if len(named) == len(value) else None


def _named(info: RunInfo) -> bool:
    """Whether items have names: an earlier version did not know any."""
    return bool(info.dataset.get("item_names", False))


def _catalogue(schema: Schema, info: RunInfo) -> list[str]:
    """Files that encode raw ids and their features, by their path in dataset and run folder alike."""
    return [
        "items/ids.parquet",
        "users/ids.parquet",
        *([item_names.FILE] if _named(info) else []),
        *(f"items/{file}" for feature in schema.of("item") for file in feature.files),
        *(f"users/{file}" for feature in schema.of("user") for file in feature.files),
        *(f"vocabularies/{name}.parquet" for name in schema.vocabularies),
    ]


def _copy(data: Dataset, file: str, target: Path) -> None:
    """Copy a file of a dataset folder: a run keeps what it was trained on."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with data.folder.open(file) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
