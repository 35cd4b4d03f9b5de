"""DIEN for RecBole: ``DIEN(config, dataset)`` with RecBole's names, checkpoints and numbers, computed packed.

Nothing else in the package imports this one, and it alone imports recbole.
"""

try:
    from recbole.model.abstract_recommender import SequentialRecommender as _
    from recbole.trainer import Trainer as _  # noqa: F401, F811
except ImportError as error:
    raise ImportError(
        f"dien.recbole needs RecBole 1.2.1 and the versions it still runs on ({error}): "
        "pip install '.[recbole]' in the clone, on Python 3.10 or 3.11"
    ) from error

from dien.recbole.conversion import convert
from dien.recbole.model import DIEN
from dien.recbole.running import DIENTrainer, restore, run, use
from dien.recbole.switches import PRESETS, Switches

__all__ = ["DIEN", "PRESETS", "DIENTrainer", "Switches", "convert", "restore", "run", "use"]
