"""Publishing runs for servers to follow: a folder of models, one of which is current."""

from dien.serving.publish.rollback import published_models, rollback

__all__ = ["published_models", "rollback"]
