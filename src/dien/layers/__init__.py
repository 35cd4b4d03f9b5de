"""The layers models are put together from; the class names of RecBole's DIEN, usable without RecBole."""

from dien.layers.attention import BilinearAttention, SequenceAttention
from dien.layers.cells import AGRUCell, AUGRUCell, ComplementAUGRUCell, DynamicRNN, set_gate_bias
from dien.layers.embedding import FeatureEmbedding
from dien.layers.evolution import InterestEvolvingLayer
from dien.layers.extractor import InterestExtractorNetwork
from dien.layers.mlp import MLP, Affine, Dice

__all__ = [
    "MLP",
    "AGRUCell",
    "AUGRUCell",
    "Affine",
    "BilinearAttention",
    "ComplementAUGRUCell",
    "Dice",
    "DynamicRNN",
    "FeatureEmbedding",
    "InterestEvolvingLayer",
    "InterestExtractorNetwork",
    "SequenceAttention",
    "set_gate_bias",
]
