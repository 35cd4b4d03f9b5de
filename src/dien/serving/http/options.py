"""How a server is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dien.data.batches import cores


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options of :func:`dien.serving.http.server.serve`; the command's have the same names.

    Attributes:
        host: address to listen on.
        port: likewise; 0 for one that is free.
        name: of the model, in the paths of the Open Inference Protocol.
        store: where the behaviours of users are; None for nowhere.
        store_most: behaviours kept of a user.
        record: file of a sample of the requests that were scored, which models are warmed up with; None for
            none.
        threads: that score, each with one thread of torch.
        device: where the model computes.
        deadline_ms: of a request that names none; none may name a later one.
        slow_ms: a scoring call that takes longer, refused or not, is told of with its stage times; None for
            none.
        largest: steps of the largest call that is taken, candidates × (1 + behaviours).
        queue: steps that may wait.
        together: steps that are scored together.
        largest_body: bytes of the largest body that is read.
        client_timeout: seconds that a connection may wait for its client.
        drain: seconds that requests in flight may take once the server is to end.
        observe_token: that ``POST /observe`` has to bring along; None where it needs none.
        reload_token: that ``POST /reload`` has to bring along; None where there is no reload by HTTP.
        certificate: file of the certificate of TLS; None for plain HTTP.
        key: file of its key.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    name: str = "dien"
    store: str | None = None
    store_most: int = 1000
    record: Path | None = None
    threads: int = field(default_factory=cores)
    device: str = "cpu"
    deadline_ms: int = 1000
    slow_ms: int | None = None
    largest: int = 2_500_000
    queue: int = 500_000
    together: int = 100_000
    largest_body: int = 2 << 20
    client_timeout: float = 30.0
    drain: float = 30.0
    observe_token: str | None = field(default=None, repr=False)
    reload_token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None
