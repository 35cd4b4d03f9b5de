"""Files of rows and columns, read chunk by chunk: a log's tables, and requests to score.

Read it in this order:

- ``files``: which files a path stands for, and the format of each by its suffix.
- ``reader``: what a reader of any format can do, and a chunk of rows that knows its place in the file.
- ``parquet``, ``csv_text``, ``json_lines``, ``atomic`` (RecBole's files): a reader for each format.
  ``json_columns`` types what JSON lines hold.
- ``values``: columns of text and of numbers, whatever type a file gave them.
- ``messages``: the errors of all of them, in one style: file, row, column, what was found, what was expected,
  how to mend it.
- ``streams``: bytes from disk, gzip or plain. ``lines``: the lines of a file that is no table.
- ``source_file``: the name, hash and size of a file, kept with what was made of it.
"""
