"""Runs the application on uvicorn: signals, draining and TLS."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import uvicorn

from dien.errors import ConfigError
from dien.serving.http.app import create_app
from dien.serving.http.connections import ClientTimeouts
from dien.serving.http.following import Following
from dien.serving.http.options import ServerOptions
from dien.serving.http.refusals import RefusedError
from dien.serving.http.served import Served
from dien.serving.http.service import Service
from dien.serving.http.telling import Telling

SWITCH = 0.0005
"""Seconds after which a Python thread lets another go on; by default 5 ms, which an answer would wait."""
TRY_AGAIN = 60.0
"""Seconds after which a published model that could not be loaded is tried again: it may be whole by then."""


def serve(
    run: Path,
    options: ServerOptions,
    started: Callable[[str], None] = lambda url: None,
    told: Callable[[str], None] = lambda text: None,
) -> None:
    """Serve a run until SIGTERM or SIGINT; SIGHUP loads the run again.

    Args:
        run: its folder; of a folder of published models the current one, also when that is another later.
        options: of the server.
        started: told the address, once requests are taken.
        told: told what came of a SIGHUP, of another published model, and of slow calls, in a sentence each;
            called in a thread, which no request waits for.

    Raises:
        RunError: the folder is no finished run.
        PublishError: it has published models, and does not say which is current.
        ConfigError: the address cannot be had, or certificate and key cannot be read.
    """
    sys.setswitchinterval(SWITCH)
    torch.set_num_threads(1)  # the scoring threads have the cores
    _take_open_files()
    # Libraries stay as long as the process: looking through them takes the collector a tenth of a second, for
    # which every request would wait. The model comes later, so that one that was replaced is freed.
    gc.collect()
    gc.freeze()
    with closing(Telling(told)) as telling:
        run_loop(DienServer(run, options, started, telling.tell).run())


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a server to its end: on uvloop, which takes less of the cores, or on asyncio's loop without it."""
    try:
        from uvloop import run  # there is none for Windows
    except ModuleNotFoundError:
        asyncio.run(main)
    else:
        run(main)


class DienServer(uvicorn.Server):
    """A server of one run.

    Args:
        run: as for :func:`serve`, as are the others.
        options: likewise.
        started: likewise.
        told: likewise.
    """

    def __init__(
        self,
        run: Path,
        options: ServerOptions,
        started: Callable[[str], None] = lambda url: None,
        told: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._run, self._options, self._started, self._told = run, options, started, told
        self._timeouts = ClientTimeouts(options.client_timeout)
        self._following = Following(run)  # before the model is loaded: what comes meanwhile is seen
        self._looking: threading.Thread | None = None
        self._refused: str | None = None  # what was told last of a published model
        self._again: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.service: Service | None = None

    async def run(self) -> None:  # type: ignore[override]
        """Serve until :meth:`stop`."""
        options = self._options
        self._loop = asyncio.get_running_loop()
        listening = _listen(options.host, options.port)
        # SIGHUP from now on: what comes while the model is loaded is done afterwards.
        with listening, _on_signals({"SIGHUP": self.reload}):
            self.service = Service(self._run, options, self._told)
            try:
                super().__init__(self._config(create_app(self.service)))
                with _on_signals({"SIGTERM": self.stop, "SIGINT": self.stop}):
                    await self._serve([listening])
            finally:
                self.service.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests."""
        await super().startup(sockets)
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        scheme = "https" if self._options.certificate else "http"
        self._started(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    async def on_tick(self, counter: int) -> bool:
        """Look after slow clients, and for what is published, once a second; uvicorn calls it ten times."""
        if counter % 10 == 0:
            self._timeouts.look(self.server_state, asyncio.get_running_loop().time())
            self._look()
        return await super().on_tick(counter)

    def stop(self) -> None:
        """End: refuse new requests, answer those in flight, then go. From any thread."""
        assert self._loop is not None
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._drain)

    def reload(self) -> None:
        """Load the run again, as SIGHUP does. From any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._begin_reload)

    def _drain(self) -> None:
        if self.should_exit:
            self.force_exit = True  # asked twice
        assert self.service is not None
        self.service.draining = True
        self.should_exit = True

    def _look(self) -> None:
        """Look for what is published, in a thread: no request waits for a folder on a network that hangs."""
        if self.should_exit or (self._looking is not None and self._looking.is_alive()):
            return
        loop = asyncio.get_running_loop()

        def look() -> None:
            if self._following.changed():
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._begin_reload, self._run)

        # A daemon, as no thread of an executor is: one that hangs does not keep the process.
        self._looking = threading.Thread(target=look, name="following", daemon=True)
        with suppress(RuntimeError):  # no more threads just now: in a second it is tried again
            self._looking.start()

    def _begin_reload(self, run: Path | None = None) -> None:
        if self.service is None:  # the first model could not be loaded: the server ends
            return
        task = asyncio.ensure_future(self._reload(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self, run: Path | None) -> None:
        assert self.service is not None
        try:
            model = await self.service.reload(run)
        except RefusedError as error:
            if run is not None and error.status == 409:
                self._following.ask_again()
                return
            if run is not None:
                self._try_again()
                if error.error == self._refused:
                    return
                self._refused = error.error
            self._told(f"not reloaded: {error.error}")
        else:
            self._refused = None
            self._told(f"reloaded: {model.scorer.run.path}, model {model.version}")

    def _try_again(self) -> None:
        """Have what is published looked into once more later."""
        assert self.service is not None
        if self._again is not None:
            self._again.cancel()
        loop = asyncio.get_running_loop()
        self._again = loop.call_later(TRY_AGAIN, self._unless_replaced, self.service.model)

    def _unless_replaced(self, model: Served) -> None:
        """Have what is published looked into, unless another model answers by now, as one that was named."""
        if self.service is not None and self.service.model is model:
            self._following.ask_again()

    def _config(self, app: Any) -> uvicorn.Config:
        options = self._options
        config = uvicorn.Config(
            app,
            http="auto",  # httptools where it is there, which takes less of the cores than h11
            log_config=None,
            log_level="error",  # who sends no HTTP writes nothing into our log
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            timeout_keep_alive=int(options.client_timeout),
            timeout_graceful_shutdown=max(1, int(options.drain)),
            backlog=2048,
            ssl_certfile=options.certificate,
            ssl_keyfile=options.key,
        )
        try:
            config.load()
        except OSError as error:  # of ssl, too
            raise ConfigError(
                f"{options.certificate}, {options.key}: no certificate and key ({error})"
            ) from error
        return config


@contextmanager
def _on_signals(does: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    """Have signals do something while a block runs; those that the system has not are left out."""

    def handle(number: int, frame: FrameType | None) -> None:
        does[signal.Signals(number).name]()

    try:
        numbers = [getattr(signal, name) for name in does if hasattr(signal, name)]
        before = {number: signal.signal(number, handle) for number in numbers}
    except ValueError:  # not in the main thread, where alone signals come
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_open_files() -> None:
    """Take as many open files as the process may have: each connection is one, and 1,024 are soon used up."""
    if sys.platform != "win32":
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with suppress(ValueError, OSError):  # macOS has a lower bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listen(host: str, port: int) -> socket.socket:
    """Take an address.

    Raises:
        ConfigError: it cannot be had.
    """
    try:
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named; else an answer waits 40 ms.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        return listening
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}: cannot be listened on ({error.strerror or error}); choose another --host or "
            "--port"
        ) from error
