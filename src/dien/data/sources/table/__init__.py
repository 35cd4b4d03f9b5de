"""A log from one's own tables: interactions, items and users as Parquet, CSV or JSON lines, a file or many.

Read it in this order:

- ``spec``: the schema, which says what the columns mean, and its YAML file. ``forms`` are what may stand in
  place of a column's name, ``feature_keys`` what is said of features, ``table_text`` how files are written;
  ``strict`` words what is wrong.
- ``reading``: from files to a log. ``interactions`` reads those, ``behaviours`` a log of its own, ``sides``
  the tables of items and users, all chunk by chunk (``chunks``; ``event_rows`` for the first two). Columns
  are checked and converted by ``values``, ``labels``, ``times`` and the features
  (:mod:`dien.data.features`); ``duplicates`` finds repeated rows. ``pages`` makes rows of one candidate
  each where a row holds several items (``lists``), and ``own_histories`` reads histories that stand in
  rows; ``split_files`` knows files that are split already; ``attributes`` takes what the log itself knows
  of items and users, ``vectors`` what stands in files of vectors. ``counts`` is what is counted on the
  way: ``incomplete`` leaves out rows that lack a value; ``likely_nulls`` finds ids that stand for none.
- ``prepare``: all the way to a dataset folder, for Python.
- ``ready``: schemas of published data sets, by name.
- ``infer``: a draft of the schema, from the first rows. ``check``: a schema tried on them.

The files themselves are read by :mod:`dien.data.readers`.
"""

from dien.data.sources.table.check import Checked, check
from dien.data.sources.table.infer import infer
from dien.data.sources.table.prepare import prepare
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import TableSpec

__all__ = ["Checked", "TableSpec", "check", "infer", "prepare", "read"]
