"""Dataset folders, run folders and checkpoints that are damaged, or made to do harm, in hundreds of ways.

Each is refused by a message that names the file, or comes to the same result as the whole one: to the same
weights and metrics when it is trained on or gone on with, to the same scores when it scores.
"""

import copy
import io
import itertools
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.data.prepare.append import append
from dien.errors import DataError, DienError
from dien.run import Run
from dien.serving import Scorer
from dien.tensors import with_checksum
from dien.training import evaluate, fit
from dien.training.trainer import Trainer
from tests.data.datasets import random_prepared, stored

Change = Callable[[Path], Any]
"""Damages a file."""

SECONDS = 60


@dataclass(frozen=True)
class Mutation:
    """A way to damage a folder: which file of it, and how."""

    file: str
    name: str
    change: Change


def config() -> RunConfig:
    return load_config(
        overrides=[
            *(
                "model.hidden_size=4",
                "model.max_history=5",
                "model.embedding_size=4",
                "model.head_hidden=[8]",
            ),
            *("training.epochs=2", "training.batch_size=16", "training.checkpoint_steps=2"),
            "training.patience=2",
        ]
    )


# Ways to damage any file


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * 8)


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(max(path.stat().st_size, 64)))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def leads_out(path: Path) -> None:
    outside = path.parents[len(path.parents) - 1 - path.parts.index("folder")].parent / "outside"
    shutil.copy(path, outside)
    path.unlink()
    path.symlink_to(outside)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


ANY_FILE: list[Change] = [
    *(Path.unlink, cut, halve, empty, lengthen, noise, pipe, folder, leads_out, dangling, circle, device)
]


# Ways to damage an array


def of_array(change: Callable[[Any], Any]) -> Change:
    def write(path: Path) -> None:
        np.save(path, change(np.load(path).copy()))

    return write


def as_archive(path: Path) -> None:
    array, file = np.load(path), io.BytesIO()
    np.savez(file, array)
    path.write_bytes(file.getvalue())


def as_pickle(path: Path) -> None:
    np.save(path, np.array([{}, None], dtype=object), allow_pickle=True)


def with_header(shape: str, descr: str = "") -> Change:
    """Let the header promise another shape, or type, than there is."""

    def write(path: Path) -> None:
        array = np.load(path)
        text = f"{{'descr': '{descr or array.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        text += " " * (-(len(text) + 11) % 64) + "\n"
        path.write_bytes(
            b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + array.tobytes()
        )

    return write


ANY_ARRAY: dict[str, Change] = {
    "archive": as_archive,
    "pickle": as_pickle,
    "a column more": of_array(lambda a: np.stack([a, a], 1)),
    "a row less": of_array(lambda a: a[:-1]),
    "other type": of_array(lambda a: a.astype(np.float64)),
    "other bytes": of_array(lambda a: a.astype(a.dtype.newbyteorder(">"))),
    "huge": with_header(f"({2**40},)"),
    "negative": with_header("(-1,)"),
    "nested": with_header("(" * 500 + ")" * 500),
    "not numbers": with_header("('a',)"),
    "unknown type": with_header("(3,)", "<q9"),
}


def at(place: int, value: Any) -> Change:
    def change(array: Any) -> Any:
        array[place] = value
        return array

    return of_array(change)


def values_of(file: str) -> dict[str, Change]:
    """Ways to damage the numbers of a column so that its header stays right."""
    name = file.rpartition("/")[2]
    if name.endswith("offsets.npy"):
        return {
            "first not 0": at(0, 1),
            "last too low": at(-1, 0),
            "falls": at(1, 10**9),
            "below 0": at(2, -5),
        }
    if name == "time.npy":
        return {"falls": of_array(lambda a: a[::-1].copy() - np.arange(len(a)) * 10**6)}
    if name == "label.npy":
        return {"127": at(0, 127), "below 0": at(-1, -1), "other clicks": of_array(lambda a: 1 - a)}
    if name in ("price.npy", "dwell.npy"):
        return {"infinite": at(0, np.inf), "minus infinite": at(-1, -np.inf)}
    if name == "popularity.npy":
        return {"of unknown": at(0, 3), "below 0": at(2, -1)}
    if name == "end.npy" and not file.startswith("behaviours"):
        return {"beyond": at(-1, 10**6), "below 0": at(0, -1), "falls": of_array(lambda a: a[::-1].copy())}
    return {"beyond": at(-1, 10**6), "below 0": at(0, -1)}


# Ways to damage a Parquet file


def of_table(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    def write(path: Path) -> None:
        change(pl.read_parquet(path.read_bytes())).write_parquet(path)

    return write


def twice(table: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([table[:2], table[1:2], table[3:]])


def gap(table: pl.DataFrame) -> pl.DataFrame:
    first = table.columns[0]
    rows = pl.int_range(len(table))
    return table.with_columns(pl.when(rows == 1).then(None).otherwise(pl.col(first)).alias(first))


ANY_TABLE: dict[str, Change] = {
    "a value twice": of_table(twice),
    "a gap": of_table(gap),
    "a row less": of_table(lambda t: t[:-1]),
    "a row more": of_table(lambda t: pl.concat([t, t[-1:]])),
    "known first": of_table(lambda t: t.reverse()),
    "other type": of_table(lambda t: t.with_columns(pl.first().rank().cast(pl.Int64))),
    "other column": of_table(lambda t: t.rename({t.columns[0]: "x"})),
    "a column more": of_table(lambda t: t.with_columns(x=1)),
    "no rows": of_table(lambda t: t.clear()),
}

# Ways to damage a JSON file

WRONG: tuple[Any, ...] = (
    *(None, "text", -1, 2**70, 0.5, [], {}, True, "../../x", "\ud800", float("nan"), 10**400, [[[]]], "a\0b"),
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the place of every value in nested mappings and lists."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from leaves(part, (*path, key))


def replaced(value: Any, place: tuple[Any, ...], by: Any) -> Any:
    value = copy.deepcopy(value)
    part = value
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = by
    return value


def of_json(content: Any, place: tuple[Any, ...], by: Any) -> Change:
    return lambda path: path.write_text(json.dumps(replaced(content, place, by)))


def json_mutations(root: Path, file: str, every: int = 1) -> Iterator[Mutation]:
    """Put a value of another type in each place, or some of them, and other content in the file."""
    content = json.loads((root / file).read_text())
    wrong = itertools.cycle(WRONG)
    for place in itertools.islice(leaves(content), 0, None, every):
        by = next(wrong)
        yield Mutation(file, f"{place} = {by!r}"[:200], of_json(content, place, by))
    for name, text in {
        "nested": "[" * 10**5,
        "list": "[]",
        "null": "null",
        "twice": "{}{}",
        "bom": "\ufeff{}",
    }.items():
        yield Mutation(file, name, lambda path, text=text: path.write_text(text))


def file_mutations(root: Path, files: list[str], each: int) -> Iterator[Mutation]:
    """Damage each file in some of the ways in which any file can be, in turn."""
    ways = itertools.cycle(ANY_FILE)
    for file in files:
        for _ in range(each):
            change = next(ways)
            yield Mutation(file, getattr(change, "__name__", "remove"), change)
        if file.endswith(".parquet"):
            for name, change in next_of(ANY_TABLE, 4):
                yield Mutation(file, name, change)
        if file.endswith(".npy"):
            values = values_of(file) if len(np.load(root / file)) > 2 else {}
            for name, change in itertools.chain(values.items(), next_of(ANY_ARRAY, 1)):
                yield Mutation(file, name, change)


_turn = itertools.count()


def next_of(ways: dict[str, Change], count: int) -> list[tuple[str, Change]]:
    all_ways = list(ways.items())
    return [all_ways[next(_turn) % len(all_ways)] for _ in range(count)]


# What a folder comes to


@contextmanager
def within_seconds() -> Iterator[None]:
    def hangs(*_: object) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcomes(
    whole: Path,
    place: Path,
    mutations: Iterator[Mutation],
    result: Callable[[Path], Any],
    writes: bool = False,
) -> tuple[Counter[str], list[str]]:
    """Apply each mutation to a copy of a folder; count what comes of it, and list what must not."""
    root = place / "folder"
    shutil.copytree(whole, root)
    expected = result(root)
    restore(whole, root, "", every=True)
    counts, bad = Counter[str](), []
    for mutation in mutations:
        mutation.change(root / mutation.file)
        try:
            with within_seconds():
                found = result(root)
            kind = "harmless" if same(found, expected) else "changed"
        except DienError as error:
            about = mutation.file.rpartition("/")[2].removesuffix(".npy").removesuffix(".offsets")
            kind = "refused" if about in str(error) or str(root) in str(error) else f"unclear: {error}"
        except TimeoutError:
            kind = "hang"
        except Exception as error:
            kind = f"traceback: {type(error).__name__}: {error}"
        counts[kind.partition(":")[0]] += 1
        restore(whole, root, mutation.file, every=writes)
        if kind not in ("refused", "harmless"):
            bad.append(f"{mutation.file}: {mutation.name}: {kind}")
    return counts, bad


def restore(whole: Path, root: Path, file: str, every: bool) -> None:
    """Bring a file back, or every file, as they were."""
    if every or (whole / file).is_dir():
        shutil.rmtree(root)
        shutil.copytree(whole, root)
        return
    if (root / file).is_dir():
        (root / file).rmdir()
    (root / file).unlink(missing_ok=True)
    shutil.copy2(whole / file, root / file)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


# Dataset folders


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(random_prepared(seed=3), tmp_path_factory.mktemp("whole") / "data")


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("whole") / "run"
    fit(data, config(), path, show_progress=False)
    return Run.open(path)


def files_in(folder: Path, *parts: str) -> list[str]:
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return [name for name in names if not parts or name.startswith(parts)]


def trained(place: Path) -> Callable[[Path], Any]:
    def result(folder: Path) -> Any:
        shutil.rmtree(place / "run", ignore_errors=True)
        fit(Dataset.open(folder), config(), place / "run", show_progress=False)
        weights = load_file(place / "run/model.safetensors")
        return weights | {"test": evaluate(place / "run", folder).to_dict()}

    return result


def test_a_damaged_dataset_is_refused_by_name_or_trains_the_same(data: Dataset, tmp_path: Path) -> None:
    files = files_in(data.path)
    mutations = [
        *json_mutations(data.path, "dataset.json"),
        *file_mutations(data.path, files, 1),
    ]
    counts, bad = outcomes(data.path, tmp_path, iter(mutations), trained(tmp_path))
    print(dict(counts))
    assert not bad, "\n".join(bad)


def test_a_damaged_column_is_refused_by_every_command_that_reads_it(
    data: Dataset, run: Run, tmp_path: Path
) -> None:
    folder = shutil.copytree(data.path, tmp_path / "data")
    at(0, 127)(folder / "valid/label.npy")
    commands: tuple[Callable[[Dataset], Any], ...] = (
        lambda damaged: evaluate(run, damaged),
        lambda damaged: append(damaged, None, None),  # type: ignore[arg-type]  # neither is read
        lambda damaged: fit(damaged, config(), tmp_path / "run", show_progress=False),
    )
    for command in commands:
        with pytest.raises(DataError, match=r"valid/label.npy: row 0: 127 is out of range"):
            command(Dataset.open(folder))
    assert not (tmp_path / "run").exists()


# Run folders


def scored(folder: Path) -> Any:
    scorer = Scorer.load(folder)
    ids = [f"i{k}" for k in range(4)]
    scores = scorer.score(
        "u1", ids, ids, context={"device": "v1", "wanted": ["v1", "v2"]}, times=[1, 2, 3, 4], time=50
    )
    return {"scores": scores}


def tensor_mutations(file: str, names: list[str]) -> Iterator[Mutation]:
    """Damage each tensor of a file in turn, and make its checksum right again."""

    def renamed(tensors: dict[str, Tensor], name: str) -> None:
        tensors[name + "_"] = tensors.pop(name)

    def number(value: float) -> Callable[[dict[str, Tensor], str], None]:
        def put(tensors: dict[str, Tensor], name: str) -> None:
            if tensors[name].is_floating_point():
                tensors[name].reshape(-1)[-1] = value
            else:
                tensors[name].reshape(-1)[-1] = 2**30

        return put

    def other(change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor], str], None]:
        def put(tensors: dict[str, Tensor], name: str) -> None:
            tensors[name] = change(tensors[name]).contiguous()

        return put

    ways: dict[str, Callable[[dict[str, Tensor], str], Any]] = {
        "cut": other(lambda t: t.reshape(-1)[:1]),
        "removed": lambda tensors, name: tensors.pop(name),
        "renamed": renamed,
        "float64": other(lambda t: t.double() if t.dtype != torch.float64 else t.float()),
        "NaN": number(float("nan")),
        "infinite": number(float("inf")),
        "grown": other(lambda t: torch.stack([t, t])),
        "int8": other(lambda t: t.to(torch.int8)),
    }
    turn = itertools.cycle(ways.items())
    for name in names:
        way, change = next(turn)

        def write(path: Path, change: Any = change, name: str = name) -> None:
            rewrite(path, lambda tensors, texts: change(tensors, name))

        yield Mutation(file, f"{name} {way}", write)


def rewrite(path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], Any]) -> None:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        texts = {name: text for name, text in (file.metadata() or {}).items() if name != "crc32"}
    change(tensors, texts)
    save_file(tensors, path, with_checksum(tensors, texts))


def test_a_damaged_run_is_refused_by_name_or_scores_the_same(run: Run, tmp_path: Path) -> None:
    files = [
        *files_in(run.path, "items", "users", "vocabularies", "config.yaml", "run.json", "result.json"),
        "model.safetensors",
    ]
    names = list(load_file(run.path / "model.safetensors"))
    mutations = [
        *json_mutations(run.path, "run.json", every=4),
        *file_mutations(run.path, files, 1),
        *tensor_mutations("model.safetensors", names),
        *config_mutations(run.path),
    ]
    counts, bad = outcomes(run.path, tmp_path, iter(mutations), scored)
    print(dict(counts))
    assert not bad, "\n".join(bad)


def config_mutations(root: Path) -> Iterator[Mutation]:
    content = yaml.safe_load((root / "config.yaml").read_text())
    for place in leaves(content):
        if place[0] == "model":
            for by in ("text", [None]):
                changed = yaml.safe_dump(replaced(content, place, by))
                yield Mutation(
                    "config.yaml", f"{place} = {by}", lambda path, text=changed: path.write_text(text)
                )


# Checkpoints


@pytest.fixture(scope="module")
def stopped(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second epoch."""
    path = tmp_path_factory.mktemp("whole") / "stopped"
    step = Trainer.step

    def step_or_stop(self: Trainer, batch: Any) -> None:
        if self.state.epochs and self.state.steps % len(self.batches) == 2:
            raise KeyboardInterrupt
        step(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step_or_stop)
        with pytest.raises(KeyboardInterrupt):
            fit(data, config(), path, show_progress=False)
    return path


def test_a_damaged_checkpoint_is_refused_by_name_or_comes_to_the_same_weights(
    data: Dataset, stopped: Path, tmp_path: Path
) -> None:
    def gone_on(folder: Path) -> Any:
        fit(data, config(), folder, resume=True, show_progress=False)
        return load_file(folder / "model.safetensors")

    (newest,) = files_in(stopped, "checkpoints/step-")
    (best,) = files_in(stopped, "checkpoints/best-")
    with safe_open(stopped / newest, "pt") as file:
        names, texts = list(file.keys()), file.metadata()

    def text(key: str, value: Any) -> Change:
        return lambda path: rewrite(path, lambda _, kept: kept.update({key: value}))

    progress, numbers = (json.loads(texts[key]) for key in ("progress", "numbers"))
    wrong = itertools.cycle(
        (-1, "text", None, [], 2**70, 10**6, "../../best-000000001.safetensors", True, {})
    )
    mutations = [
        *tensor_mutations(newest, names[:: 2 if len(names) % 2 else 3]),
        *tensor_mutations(best, list(load_file(stopped / best))[::5]),
        *file_mutations(stopped, [newest, best, "metrics.jsonl", "run.json", "config.yaml"], 5),
        *(
            Mutation(
                newest,
                f"progress {place}",
                text("progress", json.dumps(replaced(progress, place, next(wrong)))),
            )
            for place in leaves(progress)
            if place[0] not in ("best", "timed_rows", "timed_seconds") or len(place) == 1
        ),
        *(
            Mutation(newest, f"{name} {by!r}", text("numbers", json.dumps({**numbers, name: by})))
            for name in numbers
            for by in (-1, 10**6, "text")
        ),
        *(
            Mutation(newest, f"{key} {by}", text(key, by))
            for key in ("progress", "numbers")
            for by in ("", "[]", "3")
        ),
        Mutation(newest, "no texts", lambda path: rewrite(path, lambda _, kept: kept.clear())),
        Mutation("checkpoints", "leads out", folder_leads_out),
        Mutation("checkpoints", "removed", shutil.rmtree),
        Mutation("tensorboard", "leads out", folder_leads_out),
    ]
    counts, bad = outcomes(stopped, tmp_path, iter(mutations), gone_on, writes=True)
    print(dict(counts))
    assert not bad, "\n".join(bad)


def folder_leads_out(path: Path) -> None:
    outside = path.parents[1] / f"outside-{path.name}"
    shutil.rmtree(outside, ignore_errors=True)
    path.rename(outside)
    path.symlink_to(outside)
