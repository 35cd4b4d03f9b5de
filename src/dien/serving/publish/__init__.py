"""Publishing runs for servers to follow: a folder of models, one of which is current."""

from dien.serving.publish.gate import Gate, GateError, Limits
from dien.serving.publish.publish import Publication, publish
from dien.serving.publish.rollback import published_models, rollback

__all__ = ["Gate", "GateError", "Limits", "Publication", "publish", "published_models", "rollback"]
