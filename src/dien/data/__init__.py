"""From logs to batches, in reading order.

``log`` (what a source gives) → ``vocabulary`` and ``encoding`` → ``prepared``, ``recipes`` and ``append`` →
``writer`` → ``dataset`` (what lies on disk) → ``inspection`` → ``negatives``, ``order`` and ``batches``;
``schema`` and ``batch`` are what models see of it.
"""
