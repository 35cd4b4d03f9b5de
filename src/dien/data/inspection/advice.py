"""What the shares of clicks and steps say of the model, as far as docs/ablations.md has measured it.

Between the thresholds nothing was measured, and nothing is said.
"""

from __future__ import annotations

from dien.data.inspection.inspect import Inspection

MANY_REPEATS = 0.1
"""Share of train's clicks on an item of the history. Measured: 0.48 (The Complete Journey), where matches are
worth 0.15 AUC. From a tenth on, every tenth click may gain so."""
FEW_TARGETS = 0.01
"""Share of steps that are training targets. Measured: 0 (Beauty and Sports, recipe ``paper``), where the
auxiliary loss gains 0.0224 and 0.0238 AUC."""
MANY_TARGETS = 0.4
"""Measured: at 0.87 (Beauty, all targets) the auxiliary loss gains 0.0059, at 0.44 (recipe ``temporal``)
nothing that stands out from chance; at all steps and with the full weight it harms there."""
MANY_NEW = 0.1
"""Share of the test clicks on items that training has not seen. Measured: 0.38 (Beauty, recipe ``temporal``)
blurs every difference of two models; 0.05 (The Complete Journey) does not."""


def advise(inspection: Inspection) -> list[str]:
    """Say in plain sentences what follows from an inspection for the model.

    Args:
        inspection: of a dataset folder.

    Returns:
        A text for each thing that follows; none where nothing was measured for such data.
    """
    train, test = inspection.splits["train"], inspection.splits["test"]
    repeats, targets, new = train.repeated_clicks, inspection.target_steps, test.unknown_item_clicks
    said = []
    if repeats is not None and repeats >= MANY_REPEATS:
        said.append(
            f"{repeats:.1%} of the training clicks are on an item of the history: matches of target and "
            "history matter; leave model.matches on, and give requests their whole history with its times."
        )
    if targets is not None and targets < FEW_TARGETS:
        said.append(
            "Next to no step of a history is a training target: DIEN's auxiliary loss teaches what no target "
            "teaches; leave model.auxiliary_weight as it is."
        )
    if targets is not None and targets >= MANY_TARGETS:
        said.append(
            f"{targets:.1%} of the steps of histories are training targets: DIEN's auxiliary loss adds "
            "little to them; leave model.auxiliary_steps=new, which takes them out of it where negatives are "
            "sampled."
        )
    if new is not None and new >= MANY_NEW:
        said.append(
            f"New items make {new:.1%} of the test clicks: a model knows nothing of them but their features "
            "other than the id; give items such features, and leave training.id_dropout on, which trains it "
            "to go by them."
        )
    return said
