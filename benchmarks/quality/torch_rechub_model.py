"""torch-rechub 0.9.0's DIEN with the sizes of its examples/ranking/run_dien.py.

Indices of item features are moved up by one, since it takes 0 in a history for padding, feature by feature,
and never trains it. Its trainer's weight decay, which is not searched; in its example it is 1e-3.
"""

import torch
from rows import Batch, Rows
from torch import Tensor
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.ranking import DIEN
from trained import Peer

HEAD = [256, 128]
ALPHA = 0.2
WEIGHT_DECAY = 1e-5  # CTRTrainer's default


def build(rows: Rows, embedding_size: int, seed: int, device: torch.device) -> Peer:
    def size(name: str) -> dict[str, int]:
        return {"vocab_size": rows.sizes[name] + (name in rows.items), "embed_dim": embedding_size}

    def sequences(prefix: str) -> list[SequenceFeature]:
        return [
            SequenceFeature(prefix + name, **size(name), pooling="concat", shared_with=name, padding_idx=0)
            for name in rows.items
        ]

    torch.manual_seed(seed)
    model = DIEN(
        features=[SparseFeature(name, **size(name)) for name in rows.users],
        history_features=sequences("hist_"),
        neg_history_features=sequences("neg_hist_"),
        target_features=[SparseFeature(name, **size(name), padding_idx=0) for name in rows.items],
        mlp_params={"dims": HEAD},
        alpha=ALPHA,
    ).to(device)
    items = {name: table + 1 for name, table in rows.items.items()}
    for table in items.values():
        table[0] = 0  # padding
    criterion = torch.nn.BCELoss()

    def inputs(batch: Batch) -> dict[str, Tensor]:
        columns = {name: table[batch.user] for name, table in rows.users.items()}
        for name, table in items.items():
            columns[name] = table[batch.item]
            columns[f"hist_{name}"] = table[batch.history]
            columns[f"neg_hist_{name}"] = table[batch.negatives]
        return columns

    def loss(batch: Batch) -> Tensor:
        prediction, auxiliary = model(inputs(batch))
        return criterion(prediction, batch.label) + auxiliary

    return Peer(model, loss, probability=lambda batch: model(inputs(batch))[0], weight_decay=WEIGHT_DECAY)
