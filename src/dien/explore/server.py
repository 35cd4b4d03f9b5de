"""Runs the explorer on uvicorn."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import uvicorn

from dien.errors import ConfigError
from dien.explore.app import create_app
from dien.explore.explorer import Explorer


def is_loopback(host: str) -> bool:
    """Tell whether this machine alone reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_every_address(host: str) -> bool:
    """Tell whether a host stands for all addresses of this machine, and is none that can be opened itself."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def serve(explorer: Explorer, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve the explorer until Ctrl-C or SIGTERM.

    Args:
        explorer: what is asked.
        host: address to listen on.
        port: likewise; 0 takes one that is free.
        started: told an address that this machine can open, once requests are taken.

    Raises:
        ConfigError: the address cannot be had.
    """
    listening = _listen(host, port)
    address = listening.getsockname()
    opened = address[0]
    if is_every_address(opened):
        opened = "::1" if ":" in opened else "127.0.0.1"
    name = f"[{opened}]" if ":" in opened else opened
    config = uvicorn.Config(create_app(explorer, host), log_level="error", lifespan="off", access_log=False)
    _Server(config, lambda: started(f"http://{name}:{address[1]}/")).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(64)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot be listened on: {error.strerror or error}; choose others"
        ) from error
    return made


class _Server(uvicorn.Server):
    """Says when it takes requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._told()
