"""What dien costs on this machine: rates by shape, and a training step stage by stage. Needs no data."""

from dien.bench.measure import measure, measurements, quartiles
from dien.bench.shapes import SHAPES, Shape, draws, paper
from dien.bench.subject import Subject, in_turns

__all__ = ["SHAPES", "Shape", "Subject", "draws", "in_turns", "measure", "measurements", "paper", "quartiles"]
