"""dien itself, as dien.training and dien.serving run it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from shapes import ATTENTION, AUXILIARY, CATEGORIES, HEAD, USERS, Rows, Shape

from dien.config import DIENConfig
from dien.data.batch import Batch
from dien.data.schema import Feature, Schema
from dien.models import build
from dien.packed import lengths_to_offsets
from dien.training.optimiser import RowAdam

torch.set_num_threads(2)


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    schema = Schema(
        (
            Feature("item", "item", shape.items),
            Feature("category", "item", CATEGORIES),
            Feature("user", "user", USERS),
        )
    )
    config = DIENConfig(
        embedding_size=shape.width,
        hidden_size=shape.hidden,
        max_history=shape.longest,
        attention="mlp",
        attention_hidden=tuple(ATTENTION),
        auxiliary_hidden=tuple(AUXILIARY),
        head_hidden=tuple(HEAD),
    )
    torch.manual_seed(0)
    model = build(config, schema)
    batch = packed(rows, negatives=shape.mode == "train")
    if shape.mode == "score":
        model.eval()

        def score() -> None:
            with torch.inference_mode():
                model(batch)

        return score
    optimiser = RowAdam(model.parameters(), lr=1e-3)

    def step() -> None:
        prediction = model(batch)
        loss = F.binary_cross_entropy_with_logits(prediction.logits, batch.label)
        loss = loss + config.auxiliary_weight * prediction.auxiliary_loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def packed(rows: Rows, negatives: bool) -> Batch:
    real = rows.history > 0

    def items(ids: object) -> dict[str, torch.Tensor]:
        return {"item": torch.as_tensor(ids), "category": torch.as_tensor(rows.category[ids])}

    return Batch(
        history=items(rows.history[real]),
        offsets=lengths_to_offsets(torch.as_tensor(rows.lengths)),
        history_of=torch.as_tensor(rows.history_of),
        target=items(rows.target),
        user={"user": torch.as_tensor(rows.user)},
        context={},
        label=torch.as_tensor(rows.label),
        negatives=items(rows.negatives[real]) if negatives else None,
    )
