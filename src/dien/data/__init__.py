"""From logs to batches.

``sources`` read a ``log`` → ``prepare`` makes ``tables`` of it → ``writer`` writes them → ``dataset`` opens
them from disk → ``batches`` builds each ``batch`` for the model (``batch_sampler`` chooses the impressions,
``negative_sampling`` draws negatives). ``schema``, ``encoding`` and ``vocabulary`` say what the features are
and how raw values become indices; ``inspection`` describes a dataset folder.
"""
