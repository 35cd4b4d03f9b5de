"""The command that serves a run over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli import checks, options
from dien.cli.output import print_as_it_is, print_json, tell
from dien.errors import ConfigError

AnyPort = checks.whole(0, 65535)


def serve(
    run: options.RunFolder,
    host: Annotated[
        str,
        options.option(
            "--host",
            "ADDRESS",
            "Address to listen on; by default this machine alone reaches it.",
            checks.text,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, options.option("--port", "N", "Port to listen on; 0 takes one that is free.", AnyPort)
    ] = 8000,
    name: Annotated[
        str,
        options.option(
            "--name", "NAME", "Name of the model in the paths of the Open Inference Protocol.", checks.text
        ),
    ] = "dien",
    store: Annotated[
        str | None,
        options.option(
            "--store",
            "URL",
            "Store of users' behaviours: memory:, lmdb:PATH or redis://HOST:PORT/DB; without it none.",
            checks.text,
        ),
    ] = None,
    store_most: Annotated[
        int, options.option("--store-most", "N", "Behaviours kept of a user, the newest.", checks.count)
    ] = 1000,
    record: Annotated[
        Path | None,
        options.option(
            "--record",
            "FILE",
            "Keep a sample of up to 1,000 requests (of about the last day, where they come steadily), as "
            "JSON lines that dien score reads; a run is warmed up with it. It holds ids of users.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        options.option("--threads", "N", "Threads that score (default: one a core).", checks.at_once),
    ] = None,
    deadline_ms: Annotated[
        int,
        options.option(
            "--deadline-ms", "MS", "Time for a request that names none; none may ask for more.", checks.count
        ),
    ] = 1000,
    slow: Annotated[
        int | None,
        options.option(
            "--slow",
            "MS",
            "Print scoring calls that take longer, refused ones too, with their stages, on standard error.",
            checks.whole(0),
        ),
    ] = None,
    largest: Annotated[
        int,
        options.option(
            "--largest",
            "STEPS",
            "Largest call that is taken, in candidates * (1 + behaviours).",
            checks.count,
        ),
    ] = 2_500_000,
    queue: Annotated[
        int, options.option("--queue", "STEPS", "How much may wait, likewise.", checks.count)
    ] = 500_000,
    together: Annotated[
        int, options.option("--together", "STEPS", "How much is scored together, likewise.", checks.count)
    ] = 100_000,
    largest_body: Annotated[
        int, options.option("--largest-body", "BYTES", "Largest body that is read.", checks.count)
    ] = 2 << 20,
    client_timeout: Annotated[
        float,
        options.option(
            "--client-timeout", "S", "Seconds that a connection may wait for its client.", checks.positive()
        ),
    ] = 30.0,
    drain: Annotated[
        float,
        options.option(
            "--drain", "S", "Seconds for the requests in flight once the server is to end.", checks.positive()
        ),
    ] = 30.0,
    observe_token_file: Annotated[
        Path | None,
        options.option(
            "--observe-token-file",
            "FILE",
            "File with the token of POST /observe; without it, none is needed.",
        ),
    ] = None,
    reload_token_file: Annotated[
        Path | None,
        options.option(
            "--reload-token-file",
            "FILE",
            "File with the token of POST /reload; without it, SIGHUP alone reloads.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None, options.option("--certificate", "FILE", "Certificate of TLS, as PEM; needs --key.")
    ] = None,
    key: Annotated[
        Path | None, options.option("--key", "FILE", "Private key of the certificate, as PEM.")
    ] = None,
    device: options.Device = "cpu",
    as_json: options.Json = False,
) -> None:
    """Serve a run over HTTP: scores from raw ids.

    Of a folder of published models (dien publish) it serves the current one, and follows.
    SIGTERM and Ctrl-C end it after the requests in flight; SIGHUP loads the run folder again. For example:

        dien serve runs/shop --port 8000
    """
    if (certificate is None) != (key is None):
        raise typer.BadParameter("found one of --certificate and --key; give both, or none")
    from dien.data.batches import cores
    from dien.serving.http.options import ServerOptions

    try:
        from dien.serving.http.server import serve as serve_run
    except ModuleNotFoundError as error:
        if error.name not in ("litestar", "uvicorn", "prometheus_client"):
            raise
        raise ConfigError(f"dien serve needs {error.name}: pip install 'dien[serve]'") from error

    def started(url: str) -> None:
        if as_json:
            print_json({"url": url, "run": str(run)})
        else:
            print_as_it_is(f"serving {run} on {url}\n")

    serve_run(
        run,
        ServerOptions(
            host=host,
            port=port,
            name=name,
            store=store,
            store_most=store_most,
            record=record,
            threads=threads or cores(),
            device=device,
            deadline_ms=deadline_ms,
            slow_ms=slow,
            largest=largest,
            queue=queue,
            together=together,
            largest_body=largest_body,
            client_timeout=client_timeout,
            drain=drain,
            observe_token=_token(observe_token_file),
            reload_token=_token(reload_token_file),
            certificate=certificate,
            key=key,
        ),
        started,
        tell,
    )


def _token(file: Path | None) -> str | None:
    """Read a token.

    Raises:
        ConfigError: the file has none.
    """
    if file is None:
        return None
    token = file.read_text(encoding="utf-8").strip()
    if not token:
        raise ConfigError(f"{file}: found no token; write one into it, as from openssl rand -hex 32")
    return token
