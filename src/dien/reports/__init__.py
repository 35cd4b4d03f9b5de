"""Reports for people: what a dataset holds, how models compare."""

from dien.reports.data_report import write_html

__all__ = ["write_html"]
