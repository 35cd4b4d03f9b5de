"""Serving: scores from raw ids, one request at a time or a file of them, and of what a dataset holds."""

from dien.serving.files import score_file
from dien.serving.pairs import score_pairs
from dien.serving.request import CheckedRequest, Request
from dien.serving.scored import ScoredFile
from dien.serving.scorer import Scorer
from dien.serving.split import score_split

__all__ = ["CheckedRequest", "Request", "ScoredFile", "Scorer", "score_file", "score_pairs", "score_split"]
