"""Pure functions on packed tensors: interfaces (checks, dispatch, autograd) over exchangeable backends."""

from dien.ops.attention_gru import attention_gru
from dien.ops.segment import segment_softmax, segment_sum

__all__ = ["attention_gru", "segment_softmax", "segment_sum"]
