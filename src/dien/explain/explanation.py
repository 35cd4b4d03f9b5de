"""An explanation of the scores of one request: what a page shows, and what is written as JSON."""

from __future__ import annotations

import msgspec


class ShownItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item as people know it.

    Attributes:
        id: its raw id.
        name: what it is called; None where the log does not say.
        features: raw value by feature, as text; values of a list stand side by side, and what is unknown is
            left out.
    """

    id: str
    name: str | None = None
    features: dict[str, str] = {}


class ShownBehaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a history.

    Attributes:
        item: what was clicked.
        time: when, in ISO 8601; None where it is not known.
    """

    item: ShownItem
    time: str | None = None


class Influenced(msgspec.Struct, frozen=True, kw_only=True):
    """A run of behaviours that was left out at once.

    Attributes:
        name: what the run is, such as "last day" or "last 5".
        first: place in the history of its first behaviour.
        last: place of its last.
        influence: logit with all behaviours minus the logit without these.
    """

    name: str
    first: int
    last: int
    influence: float


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What the interest extractor thought would come next, after one behaviour.

    Attributes:
        step: place in the history of the behaviour; the next one is what it guesses. Where the run does not
            know the next item, there is no guess.
        probability: of the item that came next, by the auxiliary network. It has learnt to tell it from items
            drawn at random: 0.5 is what it gives of an item that could be either.
        rank: of the item that came next among it and ``among`` items drawn at random, by that probability; 1
            is the best, and ties count half.
        among: how many items were drawn.
    """

    step: int
    probability: float
    rank: float
    among: int


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A set of behaviours without which the other of two candidates scores higher.

    Attributes:
        first: place among the candidates of one of the two.
        second: place of the other.
        removed: places in the history of the behaviours of the set, ascending.
        exact: whether every smaller set was tried, and none of them changes the order.
        scored: how many sets were scored in search of it.
        after: scores of the first and the second without the set.
    """

    first: int
    second: int
    removed: list[int]
    exact: bool
    scored: int
    after: tuple[float, float]


class ExplainedCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for and against one candidate.

    ``T`` is the length of the history that is shown. The model may read only some of it as a sequence: the
    newest ``max_history``, and with ``filter_by`` the newest of those that have something in common with the
    candidate. The others may have an influence, since matches are counted over them; what only a step of the
    sequence has is None of them.

    Attributes:
        item: the candidate.
        score: what the scorer gives of it: a probability where the run is calibrated.
        logit: log odds of the model, before the calibration.
        influence: ``T`` numbers: the logit with all behaviours minus the logit without this one. A positive
            one speaks for the candidate.
        runs: influence of runs of behaviours.
        features: by feature of a behaviour, ``T`` numbers: the logit minus the logit with this feature of
            this behaviour unknown; None of behaviours that are not read as a sequence, as in all that follow.
        attention: by layer, ``T`` weights: "interest states" of DIEN's evolving layer, "behaviours" of
            attention to the behaviours themselves. Empty where the model has none.
        gate: ``T`` shares, mean over the units, of the new state that each step takes over, attention
            included: 0 leaves the state as it was. Empty where the model has no evolving layer.
        path: the evolving state after each of ``T`` steps, in the two dimensions in which the states of all
            candidates differ most. Empty likewise.
        reads: how many of the ``T`` behaviours the model reads as a sequence for this candidate.
    """

    item: ShownItem
    score: float
    logit: float
    influence: list[float]
    runs: list[Influenced] = []
    features: dict[str, list[float | None]] = {}
    attention: dict[str, list[float | None]] = {}
    gate: list[float | None] = []
    path: list[tuple[float, float] | None] = []
    reads: int


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why the candidates of one request have the scores that they have.

    Attributes:
        run: name of the run folder.
        model: name of the model.
        history: the ``T`` behaviours that the model reads anything of, oldest first.
        candidates: each with its score and what decided it, in the order of the request.
        user: raw id of the user; None where there is none.
        time: of the request, in ISO 8601; None where it is not known.
        calibrated: whether scores are calibrated probabilities.
        left_out: how many older behaviours there are that the model does not read.
        matched: how many of the newest of the ``T`` behaviours matches are counted over; 0 for a model that
            has none.
        filter_by: the feature that a behaviour must have in common with a candidate to be read as a sequence;
            None where the newest are read, whatever they are.
        guess: what the extractor guessed after each behaviour but the last, of those read as a sequence.
            Empty where the model has no auxiliary network, where ``filter_by`` gives each candidate another
            sequence, and of fewer than two behaviours.
        flip: the shortest set found whose removal changes the order of the first two candidates; None where
            there is one candidate, where two are tied, or none was found.
        variance: shares of the variance of the states that the two axes of the paths hold. Empty where there
            are no paths.
    """

    run: str
    model: str
    history: list[ShownBehaviour]
    candidates: list[ExplainedCandidate]
    user: str | None = None
    time: str | None = None
    calibrated: bool = False
    left_out: int = 0
    matched: int = 0
    filter_by: str | None = None
    guess: list[Guess] = []
    flip: Flip | None = None
    variance: list[float] = []

    def to_json(self) -> bytes:
        """Write it as one line of JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> Explanation:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: it is no explanation; the message says where.
        """
        return msgspec.json.decode(text, type=cls)
