"""A process that appends to a store and says what was acknowledged."""

import sys

APPENDING = """
import os, sys, threading
from dien.serving.store import Behaviour, open_store
store = open_store(sys.argv[1], most=100_000)
threads, last, text = int(sys.argv[2]), int(sys.argv[3]), 'x' * int(sys.argv[4])
def work(thread):
    for step in range(last):
        store.append(f"user {step % 3}", [Behaviour(text, step, {}, f"{thread}-{step}")])
        os.write(1, f"acknowledged {thread}-{step}\\n".encode())
for thread in range(threads):
    threading.Thread(target=work, args=(thread,)).start()
"""


def appending(url: str, threads: int, last: int, length: int = 5) -> list[str]:
    """Make the command: each thread appends so many behaviours with items of this length to three users."""
    return [sys.executable, "-c", APPENDING, url, str(threads), str(last), str(length)]
