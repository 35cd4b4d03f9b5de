"""DeepCTR-Torch 0.3.0, the step as in its ``fit``.

Without regularisation, and with ReLU in the head, since its DIEN cannot be built with Dice there. It computes
the auxiliary loss when it scores, too.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat
from deepctr_torch.models.dien import DIEN
from shapes import ATTENTION, CATEGORIES, HEAD, USERS, Rows, Shape

torch.set_num_threads(2)


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    sizes = {"item": shape.items, "cate": CATEGORIES}
    columns = [SparseFeat("user", USERS, embedding_dim=shape.width)]
    columns += [SparseFeat(of, size, embedding_dim=shape.width) for of, size in sizes.items()]
    columns += [
        VarLenSparseFeat(
            SparseFeat(prefix + of, size, embedding_dim=shape.width, embedding_name=of),
            maxlen=shape.longest,
            length_name="seq_length",
        )
        for prefix in ("hist_", "neg_hist_")
        for of, size in sizes.items()
    ]
    model = DIEN(
        columns,
        ["item", "cate"],
        gru_type="AUGRU",
        use_negsampling=True,
        dnn_hidden_units=HEAD,
        att_hidden_units=ATTENTION,
        att_activation="sigmoid",
        l2_reg_embedding=0,
    )
    padded = rows.padded()
    inputs = torch.from_numpy(
        np.concatenate([padded[field].reshape(shape.rows, -1) for field in model.feature_index], 1)
    ).float()
    if shape.mode == "score":
        model.eval()

        def score() -> None:
            with torch.no_grad():
                model(inputs)

        return score
    label = torch.as_tensor(rows.label)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        prediction = model(inputs).squeeze()
        optimiser.zero_grad()
        loss = F.binary_cross_entropy(prediction, label, reduction="sum") + model.aux_loss
        loss.backward()
        optimiser.step()

    return step
