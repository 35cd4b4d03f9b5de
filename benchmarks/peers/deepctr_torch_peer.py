"""DeepCTR-Torch 0.3.0, the step as in its ``fit``.

Without regularisation, and with ReLU in the head, since its DIEN cannot be built with Dice there. It computes
the auxiliary loss when it scores, too.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from deepctr_columns import arguments
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat
from deepctr_torch.models.dien import DIEN
from shapes import Rows, Shape
from torch_steps import scoring, training


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    model = DIEN(**arguments(shape, SparseFeat, VarLenSparseFeat))
    padded = rows.padded()
    inputs = torch.from_numpy(
        np.concatenate([padded[field].reshape(shape.rows, -1) for field in model.feature_index], 1)
    ).float()
    if shape.mode == "score":
        return scoring(model, lambda: model(inputs))
    label = torch.as_tensor(rows.label)

    def loss() -> torch.Tensor:
        prediction = model(inputs).squeeze()
        return F.binary_cross_entropy(prediction, label, reduction="sum") + model.aux_loss

    return training(model, loss)
