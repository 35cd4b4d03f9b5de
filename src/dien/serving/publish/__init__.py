"""Publishing runs for servers to follow: a folder of models, one of which is current."""

from dien.serving.publish.gate import Gate, GateError, Limits
from dien.serving.publish.going_back import published_models, rollback
from dien.serving.publish.publication import Publication, publish

__all__ = ["Gate", "GateError", "Limits", "Publication", "publish", "published_models", "rollback"]
