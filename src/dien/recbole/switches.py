"""What of RecBole's DIEN can be mended: configuration keys, each RecBole's behaviour unless it is set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Protocol, get_args, get_type_hints

PREFIX = "dien_"
PRESET = PREFIX + "preset"


class Config(Protocol):
    """What is asked of RecBole's Config; a mapping does as well."""

    def __contains__(self, key: str, /) -> bool: ...
    def __getitem__(self, key: str, /) -> Any: ...


@dataclass(frozen=True)
class Switches:
    """How DIEN departs from RecBole's; each is a configuration key with ``dien_`` before its name.

    Attributes:
        gru_init: initial weights of the AGRU and AUGRU. ``normal``: N(0, 1), biases 0, which saturates the
            gates from the start; ``uniform``: U(-1/sqrt(H), 1/sqrt(H)), torch.nn.GRU's.
        auxiliary_activation: of the auxiliary network's hidden layers. With ``none`` it is one linear map,
            whatever its depth.
        auxiliary_average: ``pairs``: mean over clicks and non-clicks alike, by which a long history weighs
            more than a short one and a step less the longer histories are; ``histories``: summed over steps
            and both terms, the mean over histories (eq. 6). Its scale grows with the histories' lengths, and
            alpha wants to be the smaller for it.
        fresh_negatives: draws the auxiliary loss's negatives anew at every step of training. RecBole draws
            one for each behaviour when it loads the data, and shows the same ones in every epoch.
        attention: ``mlp`` on ``[q, k, q - k, q * k]``, or ``bilinear`` (eq. 8).
        attention_scale: divides the MLP attention's logits by the square root of the states' width, which
            neither the paper nor the authors' code do.
        dice: ``fixed``: the head's Dice has alpha = 0; ``learnt``: alpha is a parameter (DIN, eq. 5).
        pooled_history: the sum of the history's items and its product with the target join the head, as in
            the authors' code.
    """

    gru_init: Literal["normal", "uniform"] = "normal"
    auxiliary_activation: Literal["none", "sigmoid", "tanh", "relu", "prelu"] = "none"
    auxiliary_average: Literal["pairs", "histories"] = "pairs"
    fresh_negatives: bool = False
    attention: Literal["mlp", "bilinear"] = "mlp"
    attention_scale: bool = True
    dice: Literal["fixed", "learnt"] = "fixed"
    pooled_history: bool = False

    @classmethod
    def of(cls, config: Config) -> Switches:
        """Read the switches of a configuration: its preset, then the keys it names.

        Raises:
            ValueError: a key that is none of these, or a value that it does not take.
        """
        known = [PRESET, *(PREFIX + field.name for field in fields(cls))]
        for key in _keys(config):
            if key.startswith(PREFIX) and key not in known:
                raise ValueError(f"{key}: no such key; expected one of {', '.join(known)}")
        given = {key: config[key] for key in known if key in config and config[key] is not None}
        hints = get_type_hints(cls)
        for key, value in given.items():
            hint = hints.get(key.removeprefix(PREFIX))
            allowed = tuple(PRESETS) if hint is None else (True, False) if hint is bool else get_args(hint)
            if not any(type(value) is type(one) and value == one for one in allowed):
                raise ValueError(f"{key}: {value!r}; expected one of {', '.join(map(str, allowed))}")
        preset = PRESETS[given.pop(PRESET, "recbole")]
        return replace(preset, **{key.removeprefix(PREFIX): value for key, value in given.items()})

    def as_config(self) -> dict[str, Any]:
        """Every switch by its configuration key."""
        return {PREFIX + name: value for name, value in asdict(self).items()}


PRESETS = {
    "recbole": Switches(),
    "paper": Switches(
        gru_init="uniform",
        auxiliary_activation="prelu",
        fresh_negatives=True,
        attention="bilinear",
        attention_scale=False,
        dice="learnt",
    ),
    "authors": Switches(
        gru_init="uniform",
        auxiliary_activation="sigmoid",
        fresh_negatives=True,
        attention_scale=False,
        dice="learnt",
        pooled_history=True,
    ),
}
"""Whose DIEN is meant: RecBole 1.2.1's, the paper's equations, or the authors' code as far as switches go.

The paper leaves alpha open, and with it the scale of eq. (6); RecBole's alpha, 1, is for a mean over pairs.
"""


def _keys(config: Any) -> Iterable[str]:
    """Every key of RecBole's Config, or of a mapping."""
    keys: Iterable[str] = getattr(config, "final_config_dict", config)
    return keys
