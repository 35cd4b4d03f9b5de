"""FuxiCTR 2.3.10, whose DIEN on PyPI has lost its auxiliary loss; here it has it again.

The auxiliary network is made of its own blocks, with ReLU and over padded steps, as older versions on GitHub
have it; the mean over real steps, which those took along the wrong axis, is mended. Its step clips gradients.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import MLP_Block
from model_zoo.LongCTR.DIEN import DIEN
from shapes import ATTENTION, AUXILIARY, CATEGORIES, HEAD, USERS, Rows, Shape
from torch import Tensor
from torch_steps import scoring


class WithAuxiliaryLoss(DIEN):
    """Its DIEN, and the auxiliary loss over the interests and behaviours that pass through it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.auxiliary = MLP_Block(
            input_dim=2 * self.item_info_dim,
            hidden_units=list(AUXILIARY),
            hidden_activations="ReLU",
            output_dim=1,
            output_activation="Sigmoid",
        )
        self.optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        self._max_gradient_norm, self._batch_index = 10.0, 0  # as its fit sets them
        self.negatives: dict[str, Tensor] = {}

    def interest_extraction(self, idx: int, sequence_emb: Tensor, mask: Tensor) -> tuple[Any, Tensor]:
        packed, interests = super().interest_extraction(idx, sequence_emb, mask)
        self._seen = interests, sequence_emb, mask
        return packed, interests

    def add_loss(self, return_dict: dict[str, Tensor], y_true: Tensor) -> Tensor:
        interests, behaviours, mask = self._seen
        negatives = self.embedding_layer(self.negatives, flatten_emb=True).view_as(behaviours)

        def probability(next_behaviours: Tensor) -> Tensor:
            pairs = torch.cat([interests[:, :-1], next_behaviours[:, 1:]], -1)
            return self.auxiliary(pairs.view(-1, pairs.shape[-1]))

        click, other = probability(behaviours), probability(negatives)
        loss = F.binary_cross_entropy(
            torch.cat([click, other]),
            torch.cat([torch.ones_like(click), torch.zeros_like(other)]),
            reduction="none",
        )
        real = mask[:, 1:].reshape(-1, 1).repeat(2, 1).float()
        return super().add_loss(return_dict, y_true) + (loss * real).sum() / real.sum()


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    features = FeatureMap("random", "")
    features.labels = ["label"]
    features.default_emb_dim = shape.width
    for feature, source, size in (
        ("user", "user", USERS),
        ("item", "item", shape.items),
        ("cate", "item", CATEGORIES),
    ):
        features.features[feature] = {
            "type": "categorical",
            "source": source,
            "vocab_size": size,
            "embedding_dim": shape.width,
            "padding_idx": 0,
        }
    torch.manual_seed(0)
    model = WithAuxiliaryLoss(
        features,
        dnn_hidden_units=list(HEAD),
        dnn_activations="Dice",
        batch_norm=False,  # Dice normalises
        embedding_dim=shape.width,
        attention_type="din_attention",
        attention_hidden_units=list(ATTENTION),
        attention_activation="Sigmoid",
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=["AUC"],
        verbose=0,
        model_root=tempfile.gettempdir(),  # nothing is written
    )
    padded = {field: torch.as_tensor(values) for field, values in rows.padded().items()}
    # History and target in one row after another, the target last, as its loader of data has them.
    items = {
        of: torch.cat([padded[f"hist_{of}"], padded[of][:, None]], 1).flatten() for of in ("item", "cate")
    }
    mask = torch.arange(shape.longest) < padded["seq_length"][:, None]
    batch = ({"user": padded["user"], "label": torch.as_tensor(rows.label)}, items, mask)
    if shape.mode == "score":
        return scoring(model, lambda: model(batch))
    model.negatives = {of: padded[f"neg_hist_{of}"].flatten() for of in ("item", "cate")}
    return lambda: model.train_step(batch)
