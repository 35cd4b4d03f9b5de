"""Takes away what Windows has not, then prepares, appends, trains, resumes, evaluates and scores."""

import builtins
import mmap
import os
import shutil
import signal
import sys
import types
from pathlib import Path

# What is no concern of ours keeps what it needs here: it is imported before anything is taken away.
import numpy as np
import polars as pl
import pyarrow.csv
import pyarrow.parquet
import rich.progress
import safetensors.torch
import scipy.special
import tensorboardX
import torch
import typer

OTHERS = (np, pl, pyarrow, rich, safetensors, scipy, tensorboardX, torch, typer)

_LACKS = {
    mmap: "MADV_DONTNEED MADV_WILLNEED MADV_SEQUENTIAL MADV_RANDOM MADV_NORMAL MADV_DONTFORK",
    os: "fork register_at_fork sched_getaffinity getuid geteuid uname killpg setsid nice O_NONBLOCK "
    "O_NOFOLLOW O_DIRECTORY O_CLOEXEC mkfifo fchmod statvfs pread getpgid posix_fadvise",
    signal: "SIGHUP SIGKILL SIGUSR1 SIGALRM SIGQUIT SIGPIPE pthread_sigmask setitimer alarm",
}
_MODULES = {"fcntl", "resource", "pwd", "grp", "termios"}


def take_away() -> None:
    """Make this process lack what one on Windows lacks."""
    for module, names in _LACKS.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    import fcntl

    def lock(handle: int, how: int, size: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    for name in _MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it raises
    locks = types.ModuleType("msvcrt")
    locks.LK_NBLCK, locks.locking = 1, lock  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = locks
    sys.platform = "win32"
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    opened, real = os.open, builtins.open

    def refuse_folders(path, flags, *rest, **more):  # type: ignore[no-untyped-def]
        if os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *rest, **more)

    texts = (".json", ".jsonl", ".yaml", ".csv", ".txt", ".md", ".html")

    def in_the_locale(file, mode="r", *rest, **more):  # type: ignore[no-untyped-def]
        if "b" not in mode and str(file).endswith(texts):
            encoding = more.get("encoding") or (rest[1] if len(rest) > 1 else None)
            assert encoding, f"{file} is opened as text without an encoding"
        return real(file, mode, *rest, **more)

    os.open = refuse_folders
    builtins.open = in_the_locale  # type: ignore[assignment]


def main(folder: Path) -> None:
    """Go from files to scores by the commands."""
    from dien.cli import main as command

    def run(*line: object) -> None:
        sys.argv = ["dien", *map(str, line)]
        try:
            command()
        except SystemExit as end:
            if end.code:
                raise

    start = 1_700_000_000
    header = "user,item,time,price\n"
    row = "u{},i{},{},{}\n"
    log = [row.format(k % 7, k * k % 11, start + 600 * k, k % 5) for k in range(240)]
    (folder / "log.csv").write_text(header + "".join(log[:200]), encoding="utf-8")
    (folder / "day.csv").write_text(header + "".join(log[200:]), encoding="utf-8")
    requests = '{"user": "u1", "history": ["i1"], "candidates": ["i2", "i3"]}\n'
    (folder / "requests.jsonl").write_text(requests, encoding="utf-8")
    data, out = folder / "data", folder / "run"
    train = ("train", data, "--out", out, "--model", "sum-pooling", "--set", "training.epochs=1")
    run("schema", "infer", folder / "log.csv", "--out", folder / "schema.yaml")
    run("prepare", "table", "--interactions", folder / "log.csv", "--out", data)
    run("prepare", "table", "--interactions", folder / "day.csv", "--append", data)
    run(*train)
    run(*train, "--resume")
    run("evaluate", out)
    run("score", out, folder / "requests.jsonl", "--out", folder / "scores.jsonl")


if __name__ == "__main__":
    take_away()
    main(Path(sys.argv[1]))
