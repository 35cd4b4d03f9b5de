"""RecBole 1.2.1, with its own embedding layer, item category and user, and the sizes of all three networks.

Its DIEN has one setting, ``mlp_hidden_size``, for attention, auxiliary network and head; the networks are
therefore made again from its own classes. "As shipped" its package has turned on autograd's anomaly
detection. It computes the auxiliary loss when it scores, too.
"""

from collections.abc import Callable

import numpy as np
import torch
from shapes import ATTENTION, AUXILIARY, CATEGORIES, HEAD, USERS, Rows, Shape

if not hasattr(np, "long"):
    np.long = np.int64  # which RecBole's own configuration does, too

from recbole.data.interaction import Interaction
from recbole.model.layers import MLPLayers
from recbole.model.sequential_recommender.dien import DIEN, InterestEvolvingLayer, InterestExtractorNetwork
from recbole.utils import FeatureType
from torch_steps import scoring, training


def config_of(shape: Shape) -> dict[str, object]:
    return {
        "device": torch.device("cpu"),
        "alpha": 1.0,
        "gru_type": "AUGRU",
        "pooling_mode": "mean",
        "dropout_prob": 0.0,
        "LABEL_FIELD": "label",
        "embedding_size": shape.width,
        "mlp_hidden_size": AUXILIARY,
        "NEG_PREFIX": "neg_",
        "numerical_features": [],
        "USER_ID_FIELD": "user",
        "ITEM_ID_FIELD": "item",
        "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "length",
        "MAX_ITEM_LIST_LENGTH": shape.longest,
    }


class Data:
    """What the model asks of a dataset."""

    field2type = dict.fromkeys(("user", "item", "cate"), FeatureType.TOKEN)

    def __init__(self, shape: Shape, category: np.ndarray) -> None:
        self.config = config_of(shape)
        self._category = category

    def num(self, field: str) -> int:
        return {"user": USERS, "item": len(self._category), "cate": CATEGORIES}[field]

    def get_user_feature(self) -> Interaction:
        return Interaction({"user": torch.arange(USERS)})

    def get_item_feature(self) -> Interaction:
        category = torch.as_tensor(self._category)
        return Interaction({"item": torch.arange(len(category)), "cate": category})


def sized(config: dict[str, object], data: object, head_inputs: int) -> DIEN:
    """Make a DIEN with the sizes of all three networks; a behaviour's width is that of the hidden states."""
    torch.manual_seed(0)
    model = DIEN(config, data)
    H = model.interset_extractor.gru.hidden_size
    model.interset_extractor = InterestExtractorNetwork(H, H, [2 * H, *AUXILIARY, 1])
    mask = torch.arange(config["MAX_ITEM_LIST_LENGTH"]).view(1, -1)
    model.interest_evolution = InterestEvolvingLayer(mask, H, H, [4 * H, *ATTENTION], gru="AUGRU")
    model.dnn_mlp_layers = MLPLayers([head_inputs, *HEAD], activation="Dice", bn=True)
    model.dnn_predict_layer = torch.nn.Linear(HEAD[-1], 1)
    return model


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    torch.autograd.set_detect_anomaly(name == "recbole-as-shipped")
    model = sized(config_of(shape), Data(shape, rows.category), 2 * shape.hidden + shape.width)
    padded = rows.padded()
    batch = Interaction(
        {
            "user": torch.as_tensor(padded["user"]),
            "item": torch.as_tensor(padded["item"]),
            "item_list": torch.as_tensor(padded["hist_item"]),
            "neg_item_list": torch.as_tensor(padded["neg_hist_item"]),
            "length": torch.as_tensor(padded["seq_length"]),
            "label": torch.as_tensor(rows.label),
        }
    )
    if shape.mode == "score":
        return scoring(model, lambda: model.predict(batch))
    return training(model, lambda: model.calculate_loss(batch))
