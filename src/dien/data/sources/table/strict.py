"""Parts of a schema that refuse what they do not know, in words that name the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dien.errors import DataError, nearest, visible


class Strict(BaseModel):
    """A part of a schema: unknown keys are refused, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise DataError(f"{type(self).__name__}: {problems(error, type(self))}") from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # as in dien.models.config.Strict


def problems(error: ValidationError, of: type[BaseModel]) -> str:
    """Say what is wrong with each key of a schema, or of a part of one, of this class."""
    return visible("; ".join(_problem(problem, of) for problem in error.errors()))


def _model(annotation: Any) -> Any:
    """Find the model in the annotation of a key that may be left out."""
    return next((part for part in get_args(annotation) if hasattr(part, "model_fields")), annotation)


def _problem(problem: ErrorDetails, of: Any) -> str:
    """Say which key is wrong and why; of an unknown one, which may be meant."""
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    where = ".".join(path) or "schema"
    if problem["type"] == "extra_forbidden":
        for part in path[:-1]:
            of = _model(of.model_fields[part].annotation)
        own = sorted(
            of.model_fields, key=lambda name: name not in of.__annotations__
        )  # before inherited ones
        keys = [of.model_fields[name].alias or name for name in own]
        close = nearest(path[-1], keys)
        mend = f"did you mean {close}?" if close else f"expected one of {', '.join(keys)}"
        return f"{where}: unknown key; {mend}"
    found = "" if isinstance(problem["input"], Mapping) else f" (found {problem['input']!r})"
    if where == "interactions.label" and isinstance(problem["input"], list):
        found += "; name one column, and a second label, as a purchase after the click, as conversion"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}{found}"
