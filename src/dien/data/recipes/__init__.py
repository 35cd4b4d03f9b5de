"""Recipes: from a log to training, validation and test rows."""

from dien.data.recipes.impressions import impressions
from dien.data.recipes.paper import paper
from dien.data.recipes.temporal import temporal

__all__ = ["impressions", "paper", "temporal"]
