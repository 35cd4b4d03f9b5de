"""A comparison of two models, one of an awkward name, and its learning curves."""

from typing import Any

import pytest

from tests.reports.comparisons import ONE, OVER, record, run
from tests.reports.pages import NAME


@pytest.fixture
def comparison() -> dict[str, Any]:
    models = ["din", NAME]
    return {
        "data": ["/data/beauty"],
        "models": models,
        "seeds": 2,
        "settings": {
            "din": {
                "model": {"name": "din", "width": 4, "max_history": 9},
                "training": {"epochs": 3, "seed": 0},
            },
            NAME: {
                "model": {"name": "x", "depth": 7, "max_history": 9},
                "training": {"epochs": 4, "seed": 0},
            },
        },
        "drawn": ["negatives"],
        "runs": [
            run("din", 0, auc=0.7512, best_epoch=1),
            run("din", 1, auc=0.7488, best_epoch=1),
            run(NAME, 0, auc=0.8, best_epoch=1),
            {**ONE, "model": NAME, "seed": 1, "status": "failed", "error": f"{NAME}\nTraceback"},
        ],
        "base": "din",
        "best": NAME,
        "table": [record("din", over_best=OVER), record(NAME, gauc=None)],
        "differences": [{"model": NAME, "over": "din", **OVER, "p_holm": 0.0321}],
        "untested": None,
    }


@pytest.fixture
def curves() -> dict[str, list[list[dict[str, Any]]]]:
    def records(auxiliary: bool) -> list[dict[str, Any]]:
        more = {"target_loss": 0.6, "auxiliary_loss": 1.3} if auxiliary else {}
        steps = [{"kind": "steps", "epoch": 1, "step": 100 * k, "loss": 2 / k, **more} for k in (1, 2)]
        valid = {"valid_auc": 0.7, "valid_gauc": 0.6}
        return [*steps, {"kind": "epoch", "epoch": 1, "step": 200, "loss": 1.0, **valid, **more}]

    return {"din": [records(False), records(False)], NAME: [records(True), []]}
