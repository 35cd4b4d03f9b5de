"""Serving: scores from raw ids, one request at a time or a file of them."""

from dien.serving.files import ScoredFile, score_file
from dien.serving.scorer import Scorer

__all__ = ["ScoredFile", "Scorer", "score_file"]
