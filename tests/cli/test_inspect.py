"""The command that looks at a dataset folder: what it prints, as a table and as one object."""

from dien.data.dataset import Dataset
from dien.data.inspection import advise, inspect_data
from tests.cli.running import dien, ok


def test_what_follows_from_a_folder_is_printed_beneath_the_table_and_is_in_the_object(
    small_data: Dataset,
) -> None:
    advice = advise(inspect_data(small_data))
    assert advice
    found = ok("inspect", small_data.path)
    assert found["advice"] == advice
    repeats = found["splits"]["train"]["repeated_clicks"]
    assert 0 < repeats < 1
    done = dien("inspect", small_data.path)
    lines = done.stdout.splitlines()
    assert [f"what follows: {one}" for one in advice] == lines[-1 - len(advice) : -1]
    assert f"train: clicks on an item of the history {repeats:.1%}" in " ".join(done.stdout.split())
