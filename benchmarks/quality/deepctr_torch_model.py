"""DeepCTR-Torch 0.3.0's DIEN with the defaults of its class, and AUGRU and auxiliary loss as in its example.

Its class without arguments is none: a plain GRU without auxiliary loss. The loss is that of its ``fit``: the
sum over the rows, which makes the auxiliary loss, a mean, light. A batch in which no row has a history, on
which it fails, has one step of padding in each. Its package asks PyPI for its newest version when it is
imported; here it finds nobody to ask.
"""

import sys
from types import ModuleType

import torch
import torch.nn.functional as F
from rows import Batch, Rows
from torch import Tensor
from trained import Peer

sys.modules.setdefault("requests", ModuleType("requests"))

from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat  # noqa: E402
from deepctr_torch.models.dien import DIEN  # noqa: E402


def build(rows: Rows, embedding_size: int, seed: int, device: torch.device) -> Peer:
    def sparse(name: str, of: str) -> SparseFeat:
        return SparseFeat(name, rows.sizes[of], embedding_dim=embedding_size, embedding_name=of)

    columns = [sparse(name, name) for name in (*rows.users, *rows.items)]
    columns += [
        VarLenSparseFeat(sparse(prefix + name, name), maxlen=rows.max_history, length_name="seq_length")
        for prefix in ("hist_", "neg_hist_")
        for name in rows.items
    ]
    model = DIEN(
        columns, list(rows.items), gru_type="AUGRU", use_negsampling=True, seed=seed, device=str(device)
    )

    def inputs(batch: Batch) -> Tensor:
        length = batch.length if bool(batch.length.any()) else batch.length.clamp(min=1)
        found = {name: table[batch.user] for name, table in rows.users.items()} | {"seq_length": length}
        for name, table in rows.items.items():
            found[name] = table[batch.item]
            found[f"hist_{name}"] = table[batch.history]
            found[f"neg_hist_{name}"] = table[batch.negatives]
        return torch.cat([found[name].view(len(length), -1) for name in model.feature_index], 1).float()

    def loss(batch: Batch) -> Tensor:
        prediction = model(inputs(batch)).squeeze(1)
        target = F.binary_cross_entropy(prediction, batch.label, reduction="sum")
        return (target + model.get_regularization_loss() + model.aux_loss).sum()

    return Peer(model, loss, probability=lambda batch: model(inputs(batch)).squeeze(1))
