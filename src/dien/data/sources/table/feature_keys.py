"""What a schema says of features: those of each side, and the ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from dien.data.features import KINDS, Categorical, Definition, Side, Vector
from dien.data.features.indices import RARE_SHARE
from dien.data.sources.table.strict import Strict
from dien.errors import nearest

_OF_IDS = ("min_count", "max_size", "rare_share", "buckets", "width")


def or_defaults(value: Any) -> Any:
    """Take ``category:`` with nothing after it for the defaults."""
    return {} if value is None else value


def _feature(side: Side) -> BeforeValidator:
    """Make options of a feature the definition of its kind."""

    def define(options: Any) -> Any:
        options = or_defaults(options)
        if not isinstance(options, Mapping):
            raise ValueError("expected options, as {kind: numeric}, or nothing")
        kind = options.get("kind", Categorical.kind)
        if not isinstance(kind, str) or kind not in KINDS:
            expected = " or ".join(map(repr, KINDS))
            wrong = PydanticCustomError("kind", "expected {kinds}", {"kinds": expected})
            raise ValidationError.from_exception_data(
                "feature", [InitErrorDetails(type=wrong, loc=("kind",), input=kind)]
            )
        if "side" in options:
            raise ValueError(f"side: it stands under {side}; leave it out, or move it under another side")
        if "from" in options and side not in ("item", "user"):
            raise ValueError(
                f"from: is for features of items and users; one of the {side} is read from the log anyway"
            )
        of_kind = KINDS[kind]
        usual = {"rare_share": RARE_SHARE} if "rare_share" in of_kind.model_fields else {}
        given = {key: value for key, value in options.items() if key != "kind"}
        return of_kind.model_validate({**usual, **given, "side": side})

    return BeforeValidator(define)


def _id(side: Side) -> BeforeValidator:
    """Make options of ids their definition."""

    def define(options: Any) -> Any:
        options = or_defaults(options)
        if isinstance(options, Mapping):
            for key in options:
                if key not in _OF_IDS:
                    close = nearest(str(key), _OF_IDS)
                    mend = f"did you mean {close}?" if close else f"expected some of {', '.join(_OF_IDS)}"
                    raise ValueError(f"{key} is not for ids; {mend}")
            options = {"rare_share": RARE_SHARE, **options, "side": side}
        return Categorical.model_validate(options)

    return BeforeValidator(define)


_ByName = BeforeValidator(or_defaults)


class Features(Strict):
    """The features of each side by name."""

    item: Annotated[dict[str, Annotated[Definition, _feature("item")]], _ByName] = Field(default_factory=dict)
    user: Annotated[dict[str, Annotated[Definition, _feature("user")]], _ByName] = Field(default_factory=dict)
    behaviour: Annotated[dict[str, Annotated[Definition, _feature("behaviour")]], _ByName] = Field(
        default_factory=dict
    )
    context: Annotated[dict[str, Annotated[Definition, _feature("context")]], _ByName] = Field(
        default_factory=dict
    )

    def of_table(self, side: Side) -> dict[str, Definition]:
        """Features of items or users that are read from their table, by name."""
        of_files = self.of_files(side)
        return {
            name: one
            for whose, name, one in self.named()
            if whose == side and one.from_ is None and name not in of_files
        }

    def of_files(self, side: Side) -> dict[str, Vector]:
        """Vectors of items or users that are read from a file of their own, by name."""
        return {
            name: one
            for whose, name, one in self.named()
            if whose == side and isinstance(one, Vector) and one.file is not None
        }

    def of_interactions(self, side: Side) -> dict[str, Definition]:
        """Features of items or users that are read from the interactions, by name."""
        return {name: one for whose, name, one in self.named() if whose == side and one.from_ is not None}

    def of_several_values(self) -> frozenset[str]:
        """Name the columns of which a row has several values."""
        return frozenset(one.column or name for _, name, one in self.named() if not one.one_value)

    def named(self) -> Iterator[tuple[Side, str, Definition]]:
        """Every feature with its side and name."""
        sides: tuple[Side, ...] = ("item", "user", "behaviour", "context")
        for side in sides:
            for name, feature in getattr(self, side).items():
                yield side, name, feature


class Ids(Strict):
    """Definitions of the id features."""

    item: Annotated[Categorical, _id("item")] = Categorical(side="item", rare_share=RARE_SHARE)
    user: Annotated[Categorical, _id("user")] = Categorical(side="user", rare_share=RARE_SHARE)
