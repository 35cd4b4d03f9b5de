"""Files that are written beside their place and renamed into it."""

from contextlib import suppress
from pathlib import Path

import pytest

from dien.errors import DienError
from dien.files import beside, replacing, write_text


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_text_file_is_written_with_its_line_ends_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\r\ntwo\n")
    assert (tmp_path / "a.txt").read_bytes() == b"one\r\ntwo\n"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_keeps_its_content_when_writing_it_anew_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with suppress(KeyboardInterrupt), replacing(path) as new:
        new.write_text("half of what")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / beside("a.txt")).symlink_to(tmp_path / "precious")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_file_has_the_permissions_that_the_process_gives_to_new_files(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "")
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("missing/a.txt", "make its folder first"), ("x" * 300, "choose a shorter name")],
)
def test_a_file_that_cannot_be_written_is_named_with_what_helps(
    tmp_path: Path, name: str, remedy: str
) -> None:
    with pytest.raises(DienError, match=remedy) as error:
        write_text(tmp_path / name, "")
    assert str(tmp_path / name) in str(error.value)
    assert "--resume" not in str(error.value)


def test_a_folder_in_the_place_of_a_file_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DienError, match="a folder has this name"):
        write_text(tmp_path / "a", "")
    assert names(tmp_path) == ["a"]
