"""From logs to batches.

``sources`` read a ``log`` → ``prepare`` makes ``tables`` of it → ``writer`` writes them → ``dataset`` opens
them from disk → ``batches`` builds each ``batch`` for the model (``batch_sampler`` chooses the impressions,
``negative_sampling`` draws negatives). ``features`` says what a feature may be and how its raw values are
encoded, ``vocabulary`` counts ids; ``inspection`` describes a dataset folder.
"""
