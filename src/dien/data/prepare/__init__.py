"""From a log to a dataset, by a recipe: ``paper``, ``temporal``, or ``impressions`` with any split rule.

Read it in this order: ``events`` (the log in arrays) → ``grouping`` (events to impressions) → ``splits``
(rules) → ``training_counts`` (the first pass) → ``features`` (vocabularies, encoders) → ``histories``
(behaviours) → ``negatives``, ``columns`` and ``rows`` (the second pass) → ``prepared`` (what is written).
``append`` adds a later log.
"""

from dien.data.prepare.impressions import impressions
from dien.data.prepare.paper import paper
from dien.data.prepare.temporal import temporal

__all__ = ["impressions", "paper", "temporal"]
