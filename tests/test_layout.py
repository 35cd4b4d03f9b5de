"""The import table of the architecture: who may import whom inside the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "dien"

# What every part may import.
BOTTOM = ("errors", "lock", "files", "folders", "places", "forks", "processes", "room", "progress")
# What each part may import besides. A dotted name allows that one module alone.
ALLOWED: dict[str, set[str]] = {
    "packed": set(),
    "errors": set(),
    "forks": {"errors"},
    "processes": set(),
    "room": {"errors"},
    "lock": {"errors"},
    "files": {"errors"},
    "folders": set(),
    "tensors": {"folders"},
    "places": {"errors"},
    "progress": set(),
    "presets": set(),
    "yaml_text": set(),
    "terminal": set(),
    "memory": set(),
    "threads": set(),
    "calibration": set(),
    "ops": {"packed"},
    "layers": {"ops", "packed"},
    "models": {"layers", "ops", "packed", "calibration", "data.features", "data.batch"},
    "config": {"models.config", "models.registry", "presets", "yaml_text"},
    "data": {"packed", "yaml_text", "ops.matches"},
    "device": {"config"},
    "published": set(),
    "run_info": {"data", "published"},
    "popularity_file": {"data", "tensors"},
    "run": {"run_info", "popularity_file", "calibration", "config", "models", "data", "tensors"},
    "extension": {"run", "data"},
    "training": {
        "calibration",
        "config",
        "models",
        "ops",
        "data",
        "run",
        "run_info",
        "device",
        "extension",
        "memory",
        "tensors",
        "terminal",
    },
    "serving": {
        "calibration",
        "layers",
        "models",
        "data",
        "published",
        "run",
        "device",
        "extension",
        "memory",
        "threads",
        "training.metrics",
        "training.summary",
    },
    "explain": {
        "calibration",
        "layers",
        "models",
        "ops",
        "packed",
        "data",
        "run",
        "device",
        "serving",
        "threads",
        "training.evaluate",
    },
    "reports": {"models", "data", "run", "training.metrics", "training.comparison", "explain"},
    "explore": {"data", "run", "extension", "serving", "explain", "reports"},
    "bench": {"config", "training", "models", "ops", "packed", "data", "memory", "run", "serving"},
}
# The way of the data inside dien.data: each part may import those before it.
DATA = (
    "rule_names", "ragged", "changing", "random_streams", "spelling", "vocabulary", "item_names", "readers",
    "times",
    "log_form",
    "features", "log", "tables", "leakage", "validity", "dataset_info", "dataset", "clicks",
    "negative_sampling", "prepare", "writer", "sources", "inspection",
    "batch", "history_filter", "matches", "popularity", "id_dropout", "batch_sampler", "batches",
)  # fmt: skip
ANYTHING = {"cli", "recbole", "__init__", "__main__"}


def imports_of(file: Path) -> set[str]:
    """Modules of the package that a file imports, without the leading ``dien.``."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.removeprefix("dien.") for name in names if name.startswith("dien.")}
    return found


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_every_file_imports_only_what_stands_before_it(file: Path) -> None:
    part = part_of(file)
    if part in ANYTHING:
        return
    assert part in ALLOWED, f"{part} has no place in the import table"
    allowed = ALLOWED[part] | {part, *BOTTOM}
    for name in imports_of(file):
        ok = any(name == one or name.startswith(one + ".") for one in allowed)
        assert ok, f"{file.relative_to(PACKAGE)} imports dien.{name}; {part} may import {sorted(allowed)}"


def test_every_part_of_data_imports_only_parts_before_it() -> None:
    data = PACKAGE / "data"
    for file in data.rglob("*.py"):
        part = file.relative_to(data).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for name in imports_of(file):
            if name.startswith("data."):
                other = name.split(".")[1]
                assert DATA.index(other) <= DATA.index(part), f"data/{part} imports dien.{name}"
    assert {path.stem for path in data.iterdir() if path.name[0] not in "_."} == set(DATA)


def roots_of(file: Path) -> set[str]:
    """Packages that a file imports from, at any place in it."""
    tree = ast.parse(file.read_text())
    modules = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    modules += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    return {module.split(".")[0] for module in modules}


def test_only_the_drop_in_imports_recbole() -> None:
    for file in PACKAGE.rglob("*.py"):
        assert part_of(file) == "recbole" or "recbole" not in roots_of(file), file


# Libraries of extras, each with the folders that alone import it.
EXTRAS = {
    "litestar": ("serving/http", "explore"),
    "uvicorn": ("serving/http", "explore"),
    "uvloop": ("serving/http",),
    "prometheus_client": ("serving/http",),
    "onnx": ("serving/export",),
    "onnxruntime": ("serving/export",),
}


@pytest.mark.parametrize("library", EXTRAS)
def test_a_library_of_an_extra_is_imported_in_its_folders_alone(library: str) -> None:
    for file in PACKAGE.rglob("*.py"):
        there = any(file.is_relative_to(PACKAGE / folder) for folder in EXTRAS[library])
        assert there or library not in roots_of(file), file


HEAVY = {"lightning", "pytorch_lightning", "torchmetrics"}
"""What the tests or the machine may have, and the package does without."""


def test_no_file_imports_lightning_or_torchmetrics() -> None:
    for file in PACKAGE.rglob("*.py"):
        assert not HEAVY & roots_of(file), file


def test_the_package_does_without_recbole_and_loads_neither_lightning_nor_torchmetrics() -> None:
    # None in sys.modules makes an import fail as if the package were not there.
    program = (
        "import sys; sys.modules['recbole'] = None; import dien, dien.cli, dien.training, dien.serving\n"
        "[getattr(dien, name) for name in dien.__all__]; print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert {"torch", "dien.training"} <= loaded
    assert "dien.recbole" not in loaded
    assert not HEAVY & loaded


def test_nothing_in_the_package_unpickles_but_the_conversion_of_a_checkpoint() -> None:
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        assert "import pickle" not in text, file
        assert "torch.load" not in text or file == PACKAGE / "recbole" / "conversion.py", file
        assert "allow_pickle=True" not in text, file
