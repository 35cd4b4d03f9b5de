"""A page to look at a run with: any user's history, edited as you like, and what becomes of the scores."""
