"""The layers models are put together from, over packed histories.

``padded`` has the classes of RecBole's DIEN, by its names and signatures; they are usable without RecBole.
"""

from dien.layers.attention import BilinearAttention, MLPAttention
from dien.layers.embedding import FeatureEmbedding
from dien.layers.evolution import InterestEvolution
from dien.layers.extractor import InterestExtractor
from dien.layers.gru import AttentionGRU, packed_gru, set_gate_bias
from dien.layers.mlp import MLP, Affine, Dice
from dien.layers.padded import (
    AGRUCell,
    AUGRUCell,
    ComplementAUGRUCell,
    DynamicRNN,
    InterestEvolvingLayer,
    InterestExtractorNetwork,
)

__all__ = [
    "MLP",
    "AGRUCell",
    "AUGRUCell",
    "Affine",
    "AttentionGRU",
    "BilinearAttention",
    "ComplementAUGRUCell",
    "Dice",
    "DynamicRNN",
    "FeatureEmbedding",
    "InterestEvolution",
    "InterestEvolvingLayer",
    "InterestExtractor",
    "InterestExtractorNetwork",
    "MLPAttention",
    "packed_gru",
    "set_gate_bias",
]
