"""Ways to damage the files of a folder, or to have them do harm: any file, arrays, tables, JSON, tensors."""

import copy
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dien.tensors import with_checksum

Change = Callable[[Path], Any]
"""Damages a file."""


@dataclass(frozen=True)
class Mutation:
    """A way to damage a folder: which file of it, and how."""

    file: str
    name: str
    change: Change


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
    """Damage each file in some of the ways in which any file, table or array can be, in turn."""
    ways, tables, arrays = (
        itertools.cycle(ways) for ways in (ANY_FILE, ANY_TABLE.items(), ANY_ARRAY.items())
    )
    for file in files:
        for change in itertools.islice(ways, each):
            yield Mutation(file, change.__name__, change)
        if file.endswith(".parquet"):
            for name, change in itertools.islice(tables, 4):
                yield Mutation(file, name, change)
        if file.endswith(".npy"):
            values = values_of(file) if len(np.load(root / file)) > 2 else {}
            for name, change in itertools.chain(values.items(), itertools.islice(arrays, 1)):
                yield Mutation(file, name, change)


def config_mutations(root: Path) -> Iterator[Mutation]:
    content = yaml.safe_load((root / "config.yaml").read_text())
    for place in leaves(content):
        if place[0] == "model":
            for by in ("text", [None]):
                changed = yaml.safe_dump(replaced(content, place, by))
                yield Mutation(
                    "config.yaml", f"{place} = {by}", lambda path, text=changed: path.write_text(text)
                )


# Ways to damage tensors


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


# Ways to damage a folder


def folder_leads_out(path: Path) -> None:
    outside = path.parents[1] / f"outside-{path.name}"
    shutil.rmtree(outside, ignore_errors=True)
    path.rename(outside)
    path.symlink_to(outside)
