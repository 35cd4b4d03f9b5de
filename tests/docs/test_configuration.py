"""The configuration's page: current, and what other pages say of keys holds."""

import importlib.util
import re
from types import ModuleType

import pytest

from dien.config import TrainConfig
from dien.models.config import ModelConfig
from dien.models.registry import config_classes
from tests.docs.blocks import DOCS

KEY = re.compile(r"(?<![\w./])(model|training)\.([a-z_]+)")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("configuration", DOCS / "generate/configuration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_script_writes(generator: ModuleType) -> None:
    written = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert written == generator.page(), "run: python docs/generate/configuration.py"


def test_a_key_without_a_meaning_is_named_with_its_class_and_where_to_document_it(
    generator: ModuleType,
) -> None:
    class LastClickConfig(ModelConfig):
        """The last click beside the target."""

        penalty: float = 0.01

    with pytest.raises(SystemExit, match=r"^LastClickConfig: document `penalty` under Attributes$"):
        generator.table(LastClickConfig, "model")


def test_every_key_that_a_page_names_is_a_key_of_the_configuration() -> None:
    # A file of the run folder, the key of the contributors' example, methods of models.
    others = {"safetensors", "onnx", "pt", "penalty", "losses", "parameters"}
    keys = {"training": set(TrainConfig.model_fields), "model": others}
    for config in config_classes().values():
        keys["model"] |= set(config.model_fields)
    for page in [DOCS.parent / "README.md", *DOCS.rglob("*.md")]:
        for part, key in KEY.findall(page.read_text(encoding="utf-8")):
            assert key in keys[part], f"{page.name}: {part}.{key}"
