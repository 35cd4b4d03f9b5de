"""A first draft of a schema, from the first rows of the tables.

Read it in this order:

- ``head``: the first rows, as columns whose types are told by their values.
- ``names``: what names of columns say. ``roles``: which column is the user, the item, the time, the label;
  ``pages``: rows that hold several items;
  ``histories``: rows that hold what their user did before.
- ``places``: which side each other column belongs to; ``kinds``: what kind of feature it makes.
- ``draft``: all of them together. ``writing`` writes it as YAML with a reason beside every guess (``words``:
  how), and it is tried with what prepare reads with.
"""

from dien.data.sources.table.infer.draft import infer

__all__ = ["infer"]
