"""Files with rows and columns, chunk by chunk: for a log's tables and for files of requests alike.

Read it in this order:

- ``files``: which files a path names, and the format of each by its suffix.
- ``reader``: what a reader of any format can do, and a chunk of rows that knows where it lies in its file.
- ``parquet``, ``csv_text``, ``json_lines``, ``atomic`` (RecBole's files): a reader for each format.
- ``streams``: bytes from disk, gzip or plain. ``lines``: the lines of a file of any other kind.
- ``values``: columns of text and numbers, each value checked.
- ``messages``: what the errors of all of them say.
"""
