"""A comparison of two models, one of an awkward name, and its learning curves."""

from typing import Any

import pytest

from dien.training.comparison import Comparison, Curves, FailedRun
from tests.reports import comparisons
from tests.reports.comparisons import OVER, difference, run, summary
from tests.reports.pages import NAME


@pytest.fixture
def comparison() -> Comparison:
    models = ["din", NAME]
    return comparisons.comparison(
        models,
        settings={
            "din": {
                "model": {"name": "din", "width": 4, "max_history": 9},
                "training": {"epochs": 3, "seed": 0},
            },
            NAME: {
                "model": {"name": "x", "depth": 7, "max_history": 9},
                "training": {"epochs": 4, "seed": 0},
            },
        },
        runs=[
            run("din", 0, auc=0.7512),
            run("din", 1, auc=0.7488),
            run(NAME, 0, auc=0.8),
            FailedRun(NAME, "/data/beauty", 1, "runs/x", error=f"{NAME}\nTraceback"),
        ],
        table=[summary("din", over_best=OVER), summary(NAME, gauc=None)],
        differences=[difference(NAME, "din", p_holm=0.0321)],
    )


@pytest.fixture
def curves() -> Curves:
    def records(auxiliary: bool) -> list[dict[str, Any]]:
        more = {"target_loss": 0.6, "auxiliary_loss": 1.3} if auxiliary else {}
        steps = [{"kind": "steps", "epoch": 1, "step": 100 * k, "loss": 2 / k, **more} for k in (1, 2)]
        valid = {"valid_auc": 0.7, "valid_gauc": 0.6}
        return [*steps, {"kind": "epoch", "epoch": 1, "step": 200, "loss": 1.0, **valid, **more}]

    return {"din": [records(False), records(False)], NAME: [records(True), []]}
