"""Publishing a run: it passes the gate, is copied, loaded once, and made current."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dien.data.tables import SplitName
from dien.errors import PublishError
from dien.progress import Progress
from dien.published import PublishedModel, model_folder, now, read_published
from dien.serving.publish.folder import copy_run, publishing, remove, switch, with_model, with_newest
from dien.serving.publish.gate import Gate, GateError, Limits, pass_gate
from dien.serving.publish.held_out import expect_split
from dien.serving.publish.loading import expect_scores_as
from dien.serving.scorer import Scorer

KEEP = 5
LIMITS = Limits()


@dataclass(frozen=True)
class Publication:
    """What a publish has done.

    Attributes:
        version: of the model that is current now.
        before: of the one that was; None where there was none.
        changed: whether something was published; not where the run was current already.
        forced: whether its gate had refused it.
        removed: versions of old models that were removed.
        gate: what was found; None where nothing was published.
    """

    version: str
    before: str | None
    changed: bool
    forced: bool = False
    removed: list[str] = field(default_factory=list)
    gate: Gate | None = None


def publish(
    run: Path | str,
    to: Path | str,
    *,
    data: Path | str | None = None,
    split: SplitName = "test",
    requests: Path | str | None = None,
    limits: Limits = LIMITS,
    keep: int = KEEP,
    force: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Publication:
    """Make a run the current model of a folder, where it passes the gate.

    The folder is as before or as after, whatever happens; a server that follows it never finds a part.

    Args:
        run: folder of a finished run.
        to: folder of published models; made where there is none.
        data: dataset folder whose split both models are evaluated on; None for that of the run.
        split: which split, ``test`` or ``valid``.
        requests: JSON lines of requests that both models score; None for none.
        limits: of the gate.
        keep: models to keep, the current one and the one before in any case.
        force: whether to publish it although the gate refuses it; ``current.json`` says so.
        device: where the models compute, as ``training.device`` has it.
        progress: called with the number of impressions, then of requests, just scored.

    Raises:
        GateError: the gate refuses the run; it has what was found.
        RunError: the run cannot be loaded.
        DataError: the file of requests cannot be read.
        PublishError: another process publishes there, or the folder is none or cannot be written.
        ValueError: ``split`` is another.
    """
    expect_split(split)
    to = Path(to)
    scorer = Scorer.load(run, device=device)
    version = scorer.run.version
    with publishing(to) as published:
        current = None if published is None else published.version
        if version == current:
            return Publication(version, current, changed=False)
        gate, sample = pass_gate(
            scorer,
            None if current is None else model_folder(to, current),
            limits,
            data=None if data is None else Path(data),
            split=split,
            requests=None if requests is None else Path(requests),
            device=device,
            progress=progress,
        )
        if gate.refused and not force:
            raise GateError(f"{run}: not published: {'; '.join(gate.refused)}", gate)
        is_there = published is not None and published.model(version) is not None
        folder = copy_run(scorer.run, to, version, replaces=is_there)
        try:
            gate.loaded = expect_scores_as(scorer, folder, sample)
            model = PublishedModel(
                version=version,
                run=str(Path(run).resolve()),
                published=now(),
                forced=bool(gate.refused),
                gate=gate.to_dict(),
            )
            removed = switch(to, published, with_newest(with_model(published, model), keep))
        except BaseException:
            if not is_there:
                _withdraw(to, version)
            raise
    return Publication(version, current, True, bool(gate.refused), removed, gate)


def _withdraw(to: Path, version: str) -> None:
    """Remove a copy, unless it became current before whatever happened."""
    try:
        published = read_published(to)
    except PublishError:
        return
    if published is None or published.model(version) is None:
        remove(to, version)
