"""YAML of users is bounded: whatever it says, it is plain values at once or an error that names the line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dien.config import load_config
from dien.data.sources.table import TableSpec
from dien.errors import ConfigError, DataError
from dien.yaml_text import MOST_BYTES, MOST_LEVELS, MOST_VALUES, YamlTextError, parse_yaml, read_yaml

_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 9)
)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=_PLAIN)
def test_plain_values_are_read_as_they_were_written(value: Any) -> None:
    text = yaml.safe_dump(value)
    try:
        found = parse_yaml(text)
    except YamlTextError as error:
        assert "levels" in str(error)  # noqa: PT017
        return
    assert found == yaml.safe_load(text)


@given(text=st.text(alphabet="[]{}&*!?|>-:,#'\"%@ \n\tab01.<=", max_size=60) | st.binary(max_size=60))
def test_any_text_is_plain_values_or_an_error(text: str | bytes) -> None:
    try:
        parse_yaml(text)
    except YamlTextError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_BOMB, "line 1: found &a0"),
        ("a: 1\nb: *c", "line 2: found *c"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice"),
        ("a: {b: 1, b: 2}", "line 1: the key 'b' stands twice"),
        ("\n" + "[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1), f"line 2: more than {MOST_LEVELS} levels"),
        ("[" * 100_000, "YAML"),
        ("- " * 100_000, "levels"),
        ("".join(" " * k + "a:\n" for k in range(MOST_LEVELS + 2)), f"more than {MOST_LEVELS} levels"),
        ("#" * MOST_BYTES + "\n", "longer than 1,048,576 bytes"),
        ("[" + "0," * MOST_VALUES + "]", "more than 100,000 keys and values"),
        ("a: 0x" + "f" * 100, "line 1: a whole number of more than 64 bits"),
        ("a: " + "9" * 5000, "not YAML"),
        ("a: 1\nb: 2024-02-30", "not YAML"),
        ("a: !!bool x", "not YAML"),
        ("a: !!timestamp x", "not YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not YAML: line 1"),
        ("{[a]: 1}", "not YAML: line 1"),
        ("a: 1\n\tb: 2", "not YAML: line 2"),
        ("---\na: 1\n---\nb: 1", "not YAML: line 3"),
        (b"a: \xff", "not YAML: byte 4"),
        ("a: \0", "not YAML: character 4"),
    ],
)
def test_what_is_not_taken_is_named_with_its_line(text: str | bytes, says: str) -> None:
    with pytest.raises(YamlTextError) as error:
        parse_yaml(text)
    found = str(error.value)
    assert says in found or (says.startswith("line 2: more") and "nesting" in found), found


def test_a_file_is_read_no_further_than_it_may_be_long() -> None:
    with pytest.raises(YamlTextError, match="longer than"):
        read_yaml(Path("/dev/zero"))


def test_every_way_that_a_user_gives_yaml_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(_BOMB + "features: *a8\n")
    with pytest.raises(DataError, match=r"bomb\.yaml: line 1: found &a0"):
        TableSpec.load(file)
    with pytest.raises(ConfigError, match=r"bomb\.yaml: line 1: found &a0"):
        load_config(file)
    with pytest.raises(ConfigError, match=r"--set model\.head_hidden=&a .*found &a"):
        load_config(overrides=["model.head_hidden=&a [1]"])
    with pytest.raises(ConfigError, match=r"--set a\.a"):
        load_config(overrides=["a." * 100_000 + "a=1"])


def test_the_parser_without_libyaml_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("dien.yaml_text._Parser", yaml.SafeLoader)
        for text, says in ((_BOMB, "line 1: found &a0"), ("[" * 100_000, "more than 32 levels")):
            with pytest.raises(YamlTextError) as error:
                parse_yaml(text)
            assert says in str(error.value)
