"""The features as DeepCTR and DeepCTR-Torch both describe them, each with classes of its own."""

from typing import Any

from shapes import ATTENTION, CATEGORIES, HEAD, USERS, Shape


def arguments(shape: Shape, sparse: Any, varying: Any) -> dict[str, Any]:
    """Arguments of either DIEN, given its SparseFeat and its VarLenSparseFeat."""
    sizes = {"item": shape.items, "cate": CATEGORIES}
    columns = [sparse("user", USERS, embedding_dim=shape.width)]
    columns += [sparse(of, size, embedding_dim=shape.width) for of, size in sizes.items()]
    columns += [
        varying(
            sparse(prefix + of, size, embedding_dim=shape.width, embedding_name=of),
            maxlen=shape.longest,
            length_name="seq_length",
        )
        for prefix in ("hist_", "neg_hist_")
        for of, size in sizes.items()
    ]
    return {
        "dnn_feature_columns": columns,
        "history_feature_list": list(sizes),
        "gru_type": "AUGRU",
        "use_negsampling": True,
        "dnn_hidden_units": HEAD,
        "att_hidden_units": ATTENTION,
        "att_activation": "sigmoid",
        "l2_reg_embedding": 0,
    }
