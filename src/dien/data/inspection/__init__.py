"""What a dataset folder holds: counted, compared between splits, and summed up for a report."""

from dien.data.inspection.advice import advise
from dien.data.inspection.inspect import STEPS, Coverage, Drift, Inspection, Telling, inspect_data
from dien.data.inspection.summary import summary_rows

__all__ = ["STEPS", "Coverage", "Drift", "Inspection", "Telling", "advise", "inspect_data", "summary_rows"]
