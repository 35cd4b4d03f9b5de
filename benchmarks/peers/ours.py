"""dien itself, as dien.training and dien.serving run it."""

from collections.abc import Callable

import torch
from shapes import ATTENTION, AUXILIARY, HEAD, Rows, Shape

from dien.bench import Subject
from dien.config import RunConfig
from dien.data.batch import Batch
from dien.models import DIENConfig
from dien.packed import lengths_to_offsets

torch.set_num_threads(2)


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    model = DIENConfig(
        embedding_size=shape.width,
        hidden_size=shape.hidden,
        max_history=shape.longest,
        matches=False,  # the peers have none
        auxiliary_steps="all",  # likewise
        auxiliary_score=False,  # likewise
        embedding_dropout=0.0,
        behaviour_attention=False,  # nor that
        attention="mlp",
        attention_hidden=tuple(ATTENTION),
        auxiliary_hidden=tuple(AUXILIARY),
        head_hidden=tuple(HEAD),
    )
    batch = packed(rows, negatives=shape.mode == "train")
    subject = Subject(RunConfig(model=model), [batch], shape.items)
    if shape.mode == "score":
        subject.model.eval()
        return lambda: subject.score(batch)
    return lambda: subject.train(batch)


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
