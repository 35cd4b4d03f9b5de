"""The model that a server answers with: loaded and warmed up before it takes the place of another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dien.published import current_run
from dien.serving.http.messages import ModelAnswer
from dien.serving.http.refusals import of_scorer
from dien.serving.http.warming import WarmUp, warm_up
from dien.serving.request import CheckedRequest, Request
from dien.serving.scorer import Scorer


@dataclass(frozen=True, eq=False)
class Served:
    """A model that answers.

    Attributes:
        scorer: of its run.
        name: as paths have it.
        version: of its weights and configuration.
        loaded: seconds since 1970.
        warmed: what came of the requests that it was warmed up with.
    """

    scorer: Scorer
    name: str
    version: str
    loaded: float
    warmed: WarmUp

    @classmethod
    def load(cls, run: Path, name: str, device: str = "cpu", recorded: Sequence[bytes] = ()) -> Served:
        """Load a run and score with it, so that the first real request is as quick as the next.

        Args:
            run: folder, or one of published models, whose current one counts; of a link, what it leads to.
            name: of the model.
            device: where it computes.
            recorded: requests to score, as lines (:mod:`dien.serving.recorded`).

        Raises:
            RunError: the folder is no finished run, its scores are not finite, or it refuses every recorded
                request.
            OSError: a file of it cannot be read.
        """
        # What a link leads to later is another run: tables and weights have to be of one.
        scorer = Scorer.load(current_run(run), device=device)
        warmed = warm_up(scorer, recorded)
        return cls(scorer, name, scorer.run.version, time.time(), warmed)

    def check(self, requests: Sequence[Request], several: bool) -> list[CheckedRequest]:
        """Check the values of requests, and leave what is older in a history than the model reads.

        Args:
            requests: of one call.
            several: whether the call has a list of them, so that a refusal says which.

        Raises:
            RefusedError: 422, naming the field.
        """
        return [
            self._checked(request, f"[{place}]" if several else "") for place, request in enumerate(requests)
        ]

    def _checked(self, request: Request, place: str) -> CheckedRequest:
        try:
            return self.scorer.check(request)
        except ValueError as error:
            raise of_scorer(error, place) from None

    @property
    def answer(self) -> ModelAnswer:
        """What ``GET /model`` says."""
        fields, run = self.scorer.fields, self.scorer.run
        return ModelAnswer(
            name=self.name,
            version=self.version,
            run=run.path.name,  # where it is on this machine is not for clients
            model=run.config.model.name,
            loaded=self.loaded,
            context=[field.name for field in fields.context],
            behaviours=[field.name for field in fields.behaviours],
            candidate_features=[field.name for field in fields.candidates],
            user_features=[field.name for field in fields.user],
            conversions=self.scorer.predicts_conversions,
        )
