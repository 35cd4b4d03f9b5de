"""What a service knows of its users: their newest behaviours, appended as they happen, read to score."""

from dien.serving.store.behaviours import Appended, Behaviour, BehaviourStore
from dien.serving.store.in_memory import MemoryStore
from dien.serving.store.load import Loaded, load_store
from dien.serving.store.opening import open_store

__all__ = [
    "Appended",
    "Behaviour",
    "BehaviourStore",
    "Loaded",
    "MemoryStore",
    "load_store",
    "open_store",
]
