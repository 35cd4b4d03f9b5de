"""Reports for people: what a dataset holds."""

from dien.explain.data_report import write_html

__all__ = ["write_html"]
