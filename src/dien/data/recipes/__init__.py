"""The features of a log."""

import dien.data.prepare  # noqa: F401  # first: its modules and ``features`` import each other
