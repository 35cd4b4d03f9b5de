"""The layers models are put together from, over packed histories.

``padded`` and ``padded_cells`` have the classes of RecBole's DIEN, by its names and signatures; they are
usable without RecBole.
"""

from dien.layers.attention import BehaviourAttention, BilinearAttention, MLPAttention
from dien.layers.embedding import FeatureEmbedding
from dien.layers.evolution import InterestEvolution
from dien.layers.extractor import InterestExtractor
from dien.layers.gru import AttentionGRU, packed_gru, set_gate_bias
from dien.layers.mlp import MLP, Affine, Dice
from dien.layers.padded import InterestEvolvingLayer, InterestExtractorNetwork
from dien.layers.padded_cells import AGRUCell, AUGRUCell, ComplementAUGRUCell, DynamicRNN

__all__ = [
    "MLP",
    "AGRUCell",
    "AUGRUCell",
    "Affine",
    "AttentionGRU",
    "BehaviourAttention",
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
