"""Pure functions on packed tensors: interfaces (checks, dispatch, autograd) over exchangeable backends."""

from dien.ops.attention_gru import attention_gru, attention_gru_layer
from dien.ops.attention_gru.reset_before import reset_before_gru_layer
from dien.ops.auxiliary_loss import auxiliary_loss
from dien.ops.linear import linear
from dien.ops.matches import matches
from dien.ops.mlp_attention import mlp_attention
from dien.ops.pairs import pair_products, pair_scatter, pair_sums
from dien.ops.rows import adam_rows, gather_rows, sum_by_row
from dien.ops.segment import segment_softmax, segment_sum

__all__ = [
    "adam_rows",
    "attention_gru",
    "attention_gru_layer",
    "auxiliary_loss",
    "gather_rows",
    "linear",
    "matches",
    "mlp_attention",
    "pair_products",
    "pair_scatter",
    "pair_sums",
    "reset_before_gru_layer",
    "segment_softmax",
    "segment_sum",
    "sum_by_row",
]
