"""Load on a server of this machine: requests at random times, whatever becomes of those before."""

from dien.bench.load.arrivals import poisson
from dien.bench.load.client import Load, http
from dien.bench.load.measure import Plan, Sender, measure_serving
from dien.bench.load.records import UNANSWERED, Answer, Records
from dien.bench.load.server import Target, running, started
from dien.bench.load.summary import summary

__all__ = [
    "UNANSWERED",
    "Answer",
    "Load",
    "Plan",
    "Records",
    "Sender",
    "Target",
    "http",
    "measure_serving",
    "poisson",
    "running",
    "started",
    "summary",
]
