"""Matches as inputs of a network, and those that training hides."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.data.batch import match_numbers
from dien.models.match_inputs import MatchInputs


def matches(names: int, rows: int) -> torch.Tensor:
    """Draw counts, and steps and seconds that are missing where nothing matches."""
    found = torch.randint(0, 3, (rows, match_numbers(names))).float()
    none = found[:, 1 : 1 + names] == 0
    found[:, 1 + names :].masked_fill_(none.repeat(1, 2), torch.nan)
    return found


@given(names=st.integers(1, 4), rows=st.integers(0, 50), seed=st.integers(0, 99))
def test_training_shows_the_matches_of_a_candidate_whole_or_not_at_all(names, rows, seed):
    torch.manual_seed(seed)
    found = matches(names, rows)
    inputs = MatchInputs(names, dropout=0.5)
    shown = inputs.eval()(found)
    trained = inputs.train()(found)
    hidden = (trained == 0).all(1)
    assert trained[~hidden].equal(shown[~hidden])
    assert not (shown == 0).all(1).any()  # what is hidden looks like no candidate


def test_training_hides_the_asked_share_of_the_candidates():
    torch.manual_seed(0)
    for dropout in (0.0, 0.2, 0.5, 0.9):
        trained = MatchInputs(2, dropout)(matches(2, 20_000))
        assert abs(float((trained == 0).all(1).float().mean()) - dropout) < 0.02
