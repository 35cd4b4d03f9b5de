"""The layers models are put together from; the class names of RecBole's DIEN, usable without RecBole."""

from dien.layers.attention import BilinearAttention, SequenceAttention
from dien.layers.cells import AGRUCell, AUGRUCell, DynamicRNN
from dien.layers.embedding import FeatureEmbedding
from dien.layers.evolution import InterestEvolvingLayer
from dien.layers.extractor import InterestExtractorNetwork
from dien.layers.mlp import MLP, Dice

__all__ = [
    "MLP",
    "AGRUCell",
    "AUGRUCell",
    "BilinearAttention",
    "Dice",
    "DynamicRNN",
    "FeatureEmbedding",
    "InterestEvolvingLayer",
    "InterestExtractorNetwork",
    "SequenceAttention",
]
