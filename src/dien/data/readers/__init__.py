"""Files of rows and columns, read chunk by chunk: a log's tables, and requests to score.

Read it in this order:

- ``text_format``: what is said of how files are written, and what is found out of a text file.
- ``files``: which files a path stands for, and the format of each by its name or its first bytes.
- ``reader``: what a reader of any format can do, and a chunk of rows that knows its place in the file.
- ``parquet``, ``csv_text``, ``json_lines``, ``atomic`` (RecBole's files): a reader for each format.
  ``json_columns`` types what JSON lines hold.
- ``first_lines``: what the first lines of text tell: what is between the columns, whether there is a header.
- ``values``: columns of text and of numbers, whatever type a file gave them. ``nulls``: marks of what is
  missing; ``literals``: lists written as text.
- ``messages``: the errors of all of them, in one style: file, row, column, what was found, what was expected,
  how to mend it.
- ``streams``: bytes from disk, packed or plain, and text of any encoding.
  ``lines``: the lines of a file that is no table.
- ``source_file``: the name, hash and size of a file, kept with what was made of it.
"""
