"""From logs to batches, in reading order.

``log`` (what a source gives) → ``vocabulary`` → ``prepared`` and ``recipes`` → ``writer`` → ``dataset`` (what
lies on disk) → ``negatives`` → ``batches``; ``schema`` and ``batch`` are what models see of it.
"""
