"""The command that serves a page to look at a run with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dien.cli import checks, options
from dien.cli.output import messages, print_as_it_is, print_json, tell
from dien.errors import ConfigError


def explore(
    run: options.RunFolder,
    against: Annotated[
        Path | None,
        options.option("--against", "RUN", "Run folder of the same dataset, to look at beside the first."),
    ] = None,
    data: Annotated[Path | None, options.moved("DATA", "the dataset folder is")] = None,
    port: Annotated[
        int,
        options.option("--port", "N", "Port to listen on; 0 takes one that is free.", checks.whole(0, 65535)),
    ] = 8100,
    host: Annotated[
        str,
        options.option(
            "--host",
            "ADDRESS",
            "Address to listen on; by default this machine alone reaches it. There is no password.",
            checks.text,
        ),
    ] = "127.0.0.1",
    as_json: options.Json = False,
) -> None:
    """Look at a run in your browser: search a user, take behaviours out, and see what becomes of the scores.

    Open the address it prints. Nothing is written. Ctrl-C ends it. For example:

        dien explore runs/shop --against runs/shop-din
    """
    try:
        from dien.explore.server import is_every_address, is_loopback, serve
    except ModuleNotFoundError as error:
        if error.name not in ("litestar", "uvicorn"):
            raise
        raise ConfigError(f"dien explore needs {error.name}: pip install 'dien[serve]'") from error
    from dien.explore.explorer import Explorer

    if not is_loopback(host):
        tell(
            f"warning: whoever reaches {host} sees the histories of all users; there is no password "
            "(--host 127.0.0.1 is for this machine alone)"
        )
    with messages.status("reading"):
        explorer = Explorer([run] if against is None else [run, against], data)

    def started(url: str) -> None:
        if as_json:
            print_json({"url": url, "run": str(run), "against": None if against is None else str(against)})
        else:
            print_as_it_is(f"explore {run} on {url}\n")
        if is_every_address(host):
            taken = url.rstrip("/").rpartition(":")[2]
            tell(
                f"from other machines: http://ADDRESS:{taken}/ with the address of this one in numbers, "
                "as 192.168.0.10; its name is refused"
            )

    serve(explorer, host, port, started)
