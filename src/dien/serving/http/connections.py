"""Closes connections that wait for their client: half a request, an answer that nobody reads, or nothing.

uvicorn times out idle connections after an answer alone. Others would stay for ever, each with its memory and
its file handle.
"""

from __future__ import annotations

from typing import Any

from uvicorn.server import ServerState


class ClientTimeouts:
    """Looks at all connections from time to time, and closes those that have not moved on.

    What counts is the whole of a request, not its bytes: a client that sends one byte a second moves nothing.

    Args:
        seconds: that a connection may wait for its client, each time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Any, tuple[tuple[str, object], float]] = {}

    def look(self, state: ServerState, now: float) -> int:
        """Close what has waited too long.

        Args:
            state: of the server, which has its connections.
            now: seconds by a clock that goes on.

        Returns:
            How many were closed.
        """
        before, self._since = self._since, {}
        closed = 0
        for connection in list(state.connections):
            waits = _waits_for(connection)
            if waits is None:
                continue
            what, cycle = waits
            (known, of_cycle), since = before.get(connection, (("", None), now))
            if known != what or of_cycle is not cycle:
                since = now
            if now - since >= self._seconds:
                connection.transport.abort()
                closed += 1
            else:
                self._since[connection] = waits, since
        return closed


def _waits_for(connection: Any) -> tuple[str, object] | None:
    """Say what a connection waits for its client to do, and in which exchange; None for nothing.

    The exchange is kept as long as it is compared: of one that is gone, another may have the ``id``.
    """
    cycle = connection.cycle
    if cycle is None or cycle.response_complete:
        return "request", cycle
    if cycle.more_body and not cycle.response_started:
        return "body", cycle
    if connection.flow.write_paused or cycle.more_body:
        return "read", cycle
    return None
