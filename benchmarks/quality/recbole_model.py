"""RecBole 1.2.1's DIEN as its class makes it, its own embedding layer and the defaults of its yaml files.

A history of length 0, on which it fails, is given one step of padding. Autograd's anomaly detection, which
its package turns on, is turned off: it changes no number.
"""

import numpy as np
import torch
from rows import Batch, Rows
from trained import Peer

if "long" not in dir(np):
    np.long = np.int64  # numpy 1.24 to 1.26 have none; RecBole's own configuration sets it, too

from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender.dien import DIEN
from recbole.utils import FeatureType

torch.autograd.set_detect_anomaly(False)

DEFAULTS = {
    "mlp_hidden_size": [256, 256, 256],
    "dropout_prob": 0.0,
    "pooling_mode": "mean",
    "gru_type": "AUGRU",
    "alpha": 1.0,
}


class Data:
    """What the model asks of a dataset."""

    def __init__(self, config: dict[str, object], rows: Rows) -> None:
        self.config, self._rows = config, rows
        self.field2type = dict.fromkeys(rows.sizes, FeatureType.TOKEN)

    def num(self, field: str) -> int:
        """Count a feature's indices."""
        return self._rows.sizes[field]

    def get_item_feature(self) -> Interaction:
        """Give item features by item row."""
        return Interaction(self._rows.items)

    def get_user_feature(self) -> Interaction:
        """Give user features by user row."""
        return Interaction(self._rows.users)


def build(rows: Rows, embedding_size: int, seed: int, device: torch.device) -> Peer:
    user, item = next(iter(rows.users)), next(iter(rows.items))
    config = {
        **DEFAULTS,
        "device": device,
        "embedding_size": embedding_size,
        "numerical_features": [],
        "USER_ID_FIELD": user,
        "ITEM_ID_FIELD": item,
        "LABEL_FIELD": "label",
        "NEG_PREFIX": "neg_",
        "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "item_length",
        "MAX_ITEM_LIST_LENGTH": rows.max_history,
    }
    torch.manual_seed(seed)
    model = DIEN(config, Data(config, rows)).to(device)

    def interaction(batch: Batch) -> Interaction:
        return Interaction(
            {
                user: batch.user,
                item: batch.item,
                f"{item}_list": batch.history,
                f"neg_{item}_list": batch.negatives,
                "item_length": batch.length.clamp(min=1),
                "label": batch.label,
            }
        )

    return Peer(
        model,
        loss=lambda batch: model.calculate_loss(interaction(batch)),
        probability=lambda batch: model.predict(interaction(batch)),
    )
