"""Times as the log wants them: whole seconds since 1970, however the files write them.

- ``parser``: a column of a file, chunk by chunk; what it holds is told once, and is the same in all files.
- ``columns``: in which columns a time stands, if in any.
- ``spellings``: text that can be read in one way alone.
- ``formats``: text that can not: ``time_format`` of the schema, and which one to write.
- ``compact_dates``: whole numbers that write a date, as 20240131.
- ``zones``: times that name no zone.
"""

from dien.data.sources.table.times.columns import with_times
from dien.data.sources.table.times.formats import has_year, known_format
from dien.data.sources.table.times.parser import LAST_TIME, TimeParser

__all__ = ["LAST_TIME", "TimeParser", "has_year", "known_format", "with_times"]
