"""Models as a user may write them, in which layers of the package are given something else than in DIEN."""

from typing import Any

import torch
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.layers import InterestEvolution, MLPAttention, packed_gru
from dien.models import Inputs, Model, ModelConfig, Prediction
from dien.ops import pair_sums, segment_sum
from dien.packed import Packed, Pairs


class _Own(Model):
    def __init__(self, config: ModelConfig, schema: Schema) -> None:
        super().__init__()
        self.config = config
        self.inputs = Inputs.of(config, schema)
        self.width = self.inputs.history_width
        self.make()
        self.head = nn.Linear(self.width + self.inputs.profile_width, 1)

    def make(self) -> None:
        raise NotImplementedError

    def interest(self, history: Packed, target: Tensor, pairs: Pairs, batch: Batch) -> Tensor:
        raise NotImplementedError

    def forward(self, batch: Batch) -> Prediction:
        embedded = self.inputs(batch)
        pairs = Pairs.of_histories(batch.offsets, batch.history_of)
        interest = self.interest(Packed(embedded.history, batch.offsets), embedded.target, pairs, batch)
        return Prediction(self.head(torch.cat([interest, embedded.profile], 1)).squeeze(1))


class AttentionToStates(_Own):
    """A GRU, and attention to its states as DIN's to behaviours."""

    def make(self) -> None:
        self.gru = nn.GRU(self.width, self.width, batch_first=True)
        self.query, self.attention = (
            nn.Linear(self.inputs.item_width, self.width),
            MLPAttention(self.width, (5,)),
        )

    def interest(self, history: Packed, target: Tensor, pairs: Pairs, batch: Batch) -> Tensor:
        states = packed_gru(self.gru, history)
        scores = self.attention(states, self.query(target), pairs)
        return pair_sums(states, scores, pairs.starts, pairs.lengths)


class AttentionOfTheHistory(_Own):
    """Attention to behaviours, not of the target but of the sum of all behaviours."""

    def make(self) -> None:
        self.attention = MLPAttention(self.width, (5,))

    def interest(self, history: Packed, target: Tensor, pairs: Pairs, batch: Batch) -> Tensor:
        query = segment_sum(history.values, history.lengths).index_select(0, batch.history_of)
        scores = self.attention(history.values, query, pairs)
        return pair_sums(history.values, scores, pairs.starts, pairs.lengths)


class EvolutionOfWhatFollows(_Own):
    """DIEN's evolving layer over the states of a GRU that reads the history from its end."""

    def make(self) -> None:
        self.gru = nn.GRU(self.width, self.width, batch_first=True, bidirectional=True)
        self.query = nn.Linear(self.inputs.item_width, self.width)
        attention = MLPAttention(self.width, (5,))
        self.evolution = InterestEvolution(self.width, self.width, attention)

    def interest(self, history: Packed, target: Tensor, pairs: Pairs, batch: Batch) -> Tensor:
        states = packed_gru(self.gru, history)[:, self.width :].contiguous()
        return self.evolution.evolve(self.query(target), Packed(states, history.offsets), pairs)


class Sharpened(MLPAttention):
    """Scores that leaving out a behaviour does not multiply by one number."""

    def forward(self, states: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        scores = super().forward(states, targets, pairs)
        return scores / (scores + 1 / pairs.lengths.repeat_interleave(pairs.lengths))


class EvolutionOfOtherScores(_Own):
    """DIEN's evolving layer with another attention."""

    def make(self) -> None:
        self.gru = nn.GRU(self.width, self.width, batch_first=True)
        self.query = nn.Linear(self.inputs.item_width, self.width)
        self.evolution = InterestEvolution(self.width, self.width, Sharpened(self.width, (5,)))

    def interest(self, history: Packed, target: Tensor, pairs: Pairs, batch: Batch) -> Tensor:
        states = packed_gru(self.gru, history)
        return self.evolution.evolve(self.query(target), Packed(states, history.offsets), pairs)


OWN: tuple[Any, ...] = (
    AttentionToStates,
    AttentionOfTheHistory,
    EvolutionOfWhatFollows,
    EvolutionOfOtherScores,
)
