"""The model that a server answers with: loaded and warmed up before it takes the place of another."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dien.published import current_run
from dien.run import WEIGHTS
from dien.serving.http.messages import ModelAnswer
from dien.serving.http.refusals import of_scorer
from dien.serving.request import CheckedRequest, Request
from dien.serving.scorer import Scorer

WARM_UPS = 3
"""Times that a run is scored with before real requests come: memory is taken, tables are read."""


@dataclass(frozen=True, eq=False)
class Served:
    """A model that answers.

    Attributes:
        scorer: of its run.
        name: as paths have it.
        version: of its weights and configuration.
        loaded: seconds since 1970.
    """

    scorer: Scorer
    name: str
    version: str
    loaded: float

    @classmethod
    def load(cls, run: Path, name: str, device: str = "cpu", warm_up: Sequence[Request] = ()) -> Served:
        """Load a run and score with it, so that the first real request is as quick as the next.

        Args:
            run: folder, or one of published models, whose current one counts; of a link, what it leads to.
            name: of the model.
            device: where it computes.
            warm_up: requests to score; none for some of the run's own items.

        Raises:
            RunError: the folder is no finished run, or its scores are not finite.
            ValueError: a request of the warm-up is not one of this run.
            OSError: a file of it cannot be read.
        """
        # What a link leads to later is another run: tables and weights have to be of one.
        scorer = Scorer.load(current_run(run), device=device)
        for _ in range(WARM_UPS):
            scorer.score_many(warm_up or [_invented(scorer)])
        return cls(scorer, name, _version(scorer.run.path), time.time())

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


def _version(run: Path) -> str:
    """Name weights and configuration by what they hold."""
    digest = hashlib.blake2b(digest_size=6)
    for name in (WEIGHTS, "config.yaml", "run.json"):
        with (run / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _invented(scorer: Scorer) -> Request:
    """Make a request of the run's first items, as long as the model reads, with times: nothing warns."""
    items = scorer.run.item_ids.values[1:101].to_list() or ["none"]  # the first is "unknown"
    longest = min(scorer.run.config.model.max_history, 100)
    return Request(
        user=None, history=(items * longest)[:longest], candidates=items, times=[1] * longest, time=1
    )
