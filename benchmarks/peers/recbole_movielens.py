"""RecBole's training step on the batches that movielens.py has written: seconds of each, as JSON."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recbole_peer import FeatureType, Interaction, sized
from torch_steps import training


class Data:
    """What the model asks of a dataset."""

    def __init__(self, config: dict[str, object], items: dict, users: dict) -> None:
        self.config, self._items, self._users = config, items, users
        self.field2type = dict.fromkeys((*items, *users), FeatureType.TOKEN)

    def num(self, field: str) -> int:  # noqa: D102
        return int((self._items | self._users)[field].max()) + 1

    def get_item_feature(self) -> Interaction:  # noqa: D102
        return Interaction(self._items)

    def get_user_feature(self) -> Interaction:  # noqa: D102
        return Interaction(self._users)


def features(file: Path) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(column.astype(np.int64)) for name, column in np.load(file).items()}


def padded(values: torch.Tensor, offsets: torch.Tensor, rows: torch.Tensor, longest: int) -> torch.Tensor:
    lengths = offsets[1:] - offsets[:-1]
    real = torch.arange(longest) < lengths[:, None]
    histories = torch.zeros(len(lengths), longest, dtype=torch.int64)
    histories[real] = values
    return histories[rows]


def main() -> None:
    folder, (threads, width, longest) = Path(sys.argv[1]), map(int, sys.argv[2:])
    config = {
        "device": torch.device("cpu"),
        "alpha": 1.0,
        "gru_type": "AUGRU",
        "pooling_mode": "mean",
        "dropout_prob": 0.0,
        "LABEL_FIELD": "label",
        "embedding_size": width,
        "mlp_hidden_size": [100, 50],
        "NEG_PREFIX": "neg_",
        "numerical_features": [],
        "USER_ID_FIELD": "user",
        "ITEM_ID_FIELD": "item",
        "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "length",
        "MAX_ITEM_LIST_LENGTH": longest,
    }
    torch.set_num_threads(threads)
    torch.autograd.set_detect_anomaly(False)
    items, users = features(folder / "item.npz"), features(folder / "user.npz")
    model = sized(config, Data(config, items, users), (2 * len(items) + len(users)) * width)
    batch = Interaction({})
    step = training(model, lambda: model.calculate_loss(batch))
    seconds = []
    for file in sorted(folder.glob("batch-*.npz")):
        rows = {name: torch.as_tensor(column) for name, column in np.load(file).items()}
        offsets, of = rows["offsets"], rows["history_of"]
        lengths = offsets[1:] - offsets[:-1]
        batch = Interaction(
            {
                "user": rows["user"][of],
                "item": rows["item"],
                "item_list": padded(rows["history"], offsets, of, longest),
                "neg_item_list": padded(rows["negatives"], offsets, of, longest),
                "length": lengths[of],
                "label": rows["label"],
            }
        )
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
