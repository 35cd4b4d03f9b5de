"""torch-rechub 0.9.0, whose DIEN is less work than the shape asks for.

Two GRUs of half the width, one for items and one for categories, in the place of one; bilinear attention; a
dot product for an auxiliary network.
"""

from collections.abc import Callable

import torch
from shapes import CATEGORIES, HEAD, USERS, Rows, Shape
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.ranking import DIEN
from torch_steps import scoring, training


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    def sequence(feature: str, of: str, size: int) -> SequenceFeature:
        return SequenceFeature(
            feature, vocab_size=size, embed_dim=shape.width, pooling="concat", shared_with=of, padding_idx=0
        )

    sizes = {"item": shape.items, "cate": CATEGORIES}
    torch.manual_seed(0)
    model = DIEN(
        features=[SparseFeature("user", vocab_size=USERS, embed_dim=shape.width)],
        history_features=[sequence(f"hist_{of}", of, size) for of, size in sizes.items()],
        neg_history_features=[sequence(f"neg_hist_{of}", of, size) for of, size in sizes.items()],
        target_features=[
            SparseFeature(of, vocab_size=size, embed_dim=shape.width, padding_idx=0)
            for of, size in sizes.items()
        ],
        mlp_params={"dims": HEAD},
        alpha=1.0,
    )
    batch = {field: torch.as_tensor(values) for field, values in rows.padded().items()}
    if shape.mode == "score":
        return scoring(model, lambda: model(batch))
    label, criterion = torch.as_tensor(rows.label), torch.nn.BCELoss()

    def loss() -> torch.Tensor:
        prediction, auxiliary = model(batch)
        return criterion(prediction, label) + auxiliary

    return training(model, loss)
