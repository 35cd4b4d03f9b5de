"""The log with every kind of feature, and scorers of every model on it."""

from tests.serving.conftest import rich_data, rich_log, rich_requests, rich_run, rich_scorer

__all__ = ["rich_data", "rich_log", "rich_requests", "rich_run", "rich_scorer"]
