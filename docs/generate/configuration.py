"""Writes docs/configuration.md from the configuration classes: ``python docs/generate/configuration.py``.

A key's values and default are those of its class, its meaning is the class's docstring.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dien.config import TrainConfig
from dien.models.config import ModelConfig
from dien.models.registry import config_classes, models
from dien.presets import PRESETS

PAGE = Path(__file__).parents[1] / "configuration.md"

HEAD = """# Configuration

<!-- Written by docs/generate/configuration.py from the classes; do not edit. -->

A configuration has two parts: `model` and `training`. Every key has a default. Change it with `--set`,
or in a YAML file for `--config`:

```
dien train data/shop --model dien --set model.hidden_size=64 --set training.epochs=3 --out runs/shop
dien train data/shop --config shop.yaml --out runs/shop
```

```yaml
# shop.yaml
model: {name: dien, hidden_size: 64}
training: {epochs: 3}
```

- Keys for one model of several stand under `models: NAME:`. `dien compare` and `dien train --model NAME` take
  such a file.
- Where several say something, the last one counts: defaults, the file, its `models: NAME:`, `--set`.
- An unknown key or a value that does not fit is refused, with the key that may be meant. A key that has
  no effect beside the others gives a warning.
- A preset is a file that ships with the package. Give its name in place of a file: %s.
- `config.yaml` of a run folder has every key with its value.
"""


def attributes_of(config: type[BaseModel]) -> dict[str, str]:
    """Read the meaning of each key from the ``Attributes`` of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        text = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for name, meaning in re.findall(r"^    (\w+): (.*(?:\n      .*)*)", text, re.MULTILINE):
            found[name] = re.sub(r"\s+", " ", meaning)
    return found


def values_of(schema: dict[str, Any]) -> str:
    """Say what a key takes, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(values_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema["type"] == "object":
        return "mapping"
    if schema["type"] == "array":
        return f"list of: {values_of(schema['items'])}"
    names = {"integer": "integer", "number": "number", "boolean": "true, false", "null": "null"}
    names |= {"string": "text"}
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    bounds = [f"{sign} {schema[key]:,}" for key, sign in signs.items() if key in schema]
    return " ".join([names[schema["type"]], *bounds[:1]]) + "".join(f" and {bound}" for bound in bounds[1:])


def plain(text: str) -> str:
    """Turn a docstring's marks into Markdown's, safe in a table."""
    text = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|")
    return text[:1].upper() + text[1:]


def table(config: type[BaseModel], part: str, only: set[str] | None = None) -> str:
    """List the keys of a class, or ``only`` some of them.

    Raises:
        SystemExit: a key has no meaning in the docstring of its class.
    """
    meanings, fields = attributes_of(config), config.model_json_schema()["properties"]
    lines = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for key, schema in fields.items():
        if key != "name" and (only is None or key in only):
            if key not in meanings:
                raise SystemExit(f"{config.__name__}: document `{key}` under Attributes")
            default = json.dumps(schema["default"])
            lines.append(f"| `{part}.{key}` | {values_of(schema)} | `{default}` | {plain(meanings[key])} |")
    return "\n".join(lines) + "\n"


def model_sections() -> str:
    """Write a section for each class of models: its own keys, and the names that have other defaults."""
    text = ""
    for name, config in config_classes().items():
        base = config.__mro__[1]
        defaults, common = config().model_dump(mode="json"), base.model_fields
        above = {key: field.get_default() for key, field in common.items() if key != "name"}
        own = {key for key in defaults if key not in common or getattr(config(), key) != above.get(key)} - {
            "name"
        }
        text += f"\n## Model {name}\n\n{plain(inspect.cleandoc(config.__doc__ or '').splitlines()[0])}\n\n"
        if base is not ModelConfig:
            text += f"It has the keys of `{base.model_fields['name'].default}` too.\n\n"
        text += table(config, "model", own) if own else "It has the keys of every model, and no others.\n"
        others = {
            other: found.config.model_dump(mode="json")
            for other, found in models().items()
            if type(found.config) is config and other != name
        }
        if others:
            text += "\nThe same model by other names, with other defaults:\n\n"
            text += "| name | defaults |\n| --- | --- |\n"
        for other, values in others.items():
            changed = (f"`{key}: {json.dumps(v)}`" for key, v in values.items() if v != defaults[key])
            text += f"| `{other}` | {', '.join(changed)} |\n"
    return text


def page() -> str:
    """Write the page."""
    return (
        HEAD % ", ".join(f"`{name}`" for name in PRESETS)
        + f"\n## Training\n\n{table(TrainConfig, 'training')}"
        + f"\n## Every model\n\n{table(ModelConfig, 'model')}"
        + model_sections()
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
