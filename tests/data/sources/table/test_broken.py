from pathlib import Path

import pytest

from dien.data.sources.table import TableSpec, read
from dien.errors import DataError
from tests.data.sources.table.broken import BROKEN, Broken


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name.replace(" ", "-"))
def test_a_broken_table_is_refused_with_its_place_or_its_fault_is_counted(
    broken: Broken, tmp_path: Path
) -> None:
    for name, content in broken.files.items():
        path = tmp_path / name
        if content is None:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def paths(names: tuple[str, ...] | None) -> list[Path] | None:
        return None if names is None else [tmp_path / name for name in names]

    spec = TableSpec.of(broken.spec, "schema")
    inputs = paths(broken.paths()), paths(broken.items), paths(broken.users)
    if broken.says:
        with pytest.raises(DataError) as raised:
            read(*inputs, spec)
        for words in broken.says:
            assert words in str(raised.value)
        assert "expected" in str(raised.value) or ";" in str(raised.value)  # how to mend it
    else:
        assert read(*inputs, spec).excluded == broken.counts


def test_the_corpus_holds_fifty_broken_tables() -> None:
    assert len({broken.name for broken in BROKEN if broken.says}) >= 50
