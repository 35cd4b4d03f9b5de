"""What the server reads and answers, as structures: JSON is parsed into them, the OpenAPI page shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from dien.serving.request import RawId, Request

Time = int | str


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to score, in raw ids, as :meth:`dien.Scorer.score` has it.

    Attributes:
        candidates: raw ids of the items to score.
        user: raw id of the user, null where there is none.
        history: raw ids of the items clicked so far, oldest first; left out, the store has it.
        context: raw value of each context feature.
        behaviours: of each behaviour feature, a raw value for each entry of the history.
        times: when each entry of the history was.
        time: of the request.
        candidate_features: of some item features, a raw value for each candidate.
        user_features: of some user features, a raw value.
        conversions: whether to give the probability of a conversion, too.
    """

    candidates: list[RawId]
    user: RawId | None = None
    history: list[RawId] | None = None
    context: dict[str, Any] | None = None
    behaviours: dict[str, list[Any]] | None = None
    times: list[Time | None] | None = None
    time: Time | None = None
    candidate_features: dict[str, list[Any]] | None = None
    user_features: dict[str, Any] | None = None
    conversions: bool = False

    def with_history(self, history: list[RawId]) -> Request:
        """Make it a request of the scorer, with the history that it gives."""
        return Request(
            user=self.user,
            history=history,
            candidates=self.candidates,
            context=self.context,
            behaviours=self.behaviours,
            times=self.times,
            time=self.time,
            candidate_features=self.candidate_features,
            user_features=self.user_features,
        )


class ScoreAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Scores of one request.

    Attributes:
        scores: probability of a click on each candidate.
        model: version of the model that gave them (``GET /model``).
        conversions: where asked for, the probability that a click leads to a conversion.
    """

    scores: list[float]
    model: str
    conversions: list[float] | None = None


class ObservedBehaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something a user did with an item.

    Attributes:
        item: raw id.
        time: seconds since 1970; left out, now.
        features: raw value of each behaviour feature.
        event: id of the event, which is taken once.
    """

    item: RawId
    time: int | None = None
    features: dict[str, Any] = {}
    event: str | None = None


class ObserveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user has done.

    Attributes:
        user: raw id.
        behaviours: of the user.
    """

    user: RawId
    behaviours: list[ObservedBehaviour]


class ReloadRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run is to answer.

    Attributes:
        run: its folder on the server's machine; left out, the one that is served, which may have changed.
    """

    run: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not answered.

    Attributes:
        error: what was found, what was expected and how to mend it.
        field: of the request that is wrong, as ``candidates`` or ``[3].times``; null where it is no field.
    """

    error: str
    field: str | None


class State(msgspec.Struct, frozen=True):
    """Whether the server lives, or takes requests.

    Attributes:
        status: ``ok``, or what keeps it from taking requests.
    """

    status: str


class ModelAnswer(msgspec.Struct, frozen=True):
    """The model that answers.

    Attributes:
        name: as the paths of the Open Inference Protocol have it.
        version: of its weights and configuration; the same run has the same on every machine.
        run: name of its folder.
        model: kind of the model, as ``dien``.
        loaded: when this process loaded it, seconds since 1970.
        context: its context features.
        behaviours: its behaviour features.
        candidate_features: item features that a request may give.
        user_features: user features that a request may give.
        conversions: whether it predicts conversions.
    """

    name: str
    version: str
    run: str
    model: str
    loaded: float
    context: list[str]
    behaviours: list[str]
    candidate_features: list[str]
    user_features: list[str]
    conversions: bool
