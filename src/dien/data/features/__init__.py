"""What a feature may be: one definition, one class a kind.

- ``definition``: what is said of any feature (:class:`Definition`), what preparation made of it
  (:class:`Feature`), and the kinds there are (:data:`KINDS`).
- ``categorical``, ``multi``, ``numeric``, ``vector``: a class for each kind, with the options it takes. It
  reads a raw column, encodes it, lays it out on disk, checks it and sums it up. ``indices`` is what the first
  two share.
- ``rules``: what holds between features: names, and tables that are shared.
- ``encoders``: from raw values to what is stored. ``columns``: what is stored, as arrays.
- ``schema``: the features of a dataset, in order.

A new kind is a file here whose class is registered, imported below, and an entry in
``dien.layers.embedding`` that says how it is embedded.
"""

from dien.data.features.categorical import Categorical
from dien.data.features.definition import KINDS, Definition, Feature, Pooling, Side, register
from dien.data.features.multi import Multi
from dien.data.features.numeric import Numeric
from dien.data.features.rules import TIME_SINCE
from dien.data.features.schema import Schema
from dien.data.features.vector import Vector

__all__ = [
    "KINDS",
    "TIME_SINCE",
    "Categorical",
    "Definition",
    "Feature",
    "Multi",
    "Numeric",
    "Pooling",
    "Schema",
    "Side",
    "Vector",
    "register",
]
