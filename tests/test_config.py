import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dien.config import Pretrained, RunConfig, TrainConfig, load_config
from dien.errors import ConfigError
from dien.models import DIENConfig, model_config, models
from dien.models.din import DINConfig
from dien.models.pnn import PNNConfig
from dien.models.rocket import RocketConfig
from dien.models.sum_pooling import SumPoolingConfig
from dien.models.wide_deep import WideDeepConfig

MODELS = {name: found.config for name, found in models().items()}
ACTIVATIONS = st.sampled_from(["dice", "prelu", "relu", "sigmoid", "silu", "tanh"])
SIZES, WIDTHS = st.integers(1, 65_536), st.lists(st.integers(1, 4096), min_size=1, max_size=4)
POSITIVE = st.floats(1e-9, 1e3)
RUNS = st.builds(
    RunConfig,
    model=st.one_of(
        st.builds(SumPoolingConfig, embedding_size=SIZES, head_hidden=WIDTHS, head_activation=ACTIVATIONS),
        st.builds(WideDeepConfig, sparse_weights=st.booleans(), max_history=SIZES),
        st.builds(PNNConfig, inner_products=st.booleans(), embedding_size=SIZES),
        st.builds(
            DINConfig,
            attention_hidden=WIDTHS,
            attention_activation=ACTIVATIONS,
            attention_softmax=st.booleans(),
            pooled_history=st.booleans(),
        ),
        st.builds(
            DIENConfig,
            embedding_size=SIZES,
            hidden_size=st.one_of(SIZES, st.none()),
            gru=st.sampled_from(["gru", "aigru", "agru", "augru", "augru-complement"]),
            gru_reset=st.sampled_from(["after", "before"]),
            gru_gate_bias=st.one_of(st.none(), st.floats(-9, 9)),
            gru_initialisation=st.sampled_from(["uniform", "normal"]),
            attention_query=st.sampled_from(["plain", "prelu"]),
            auxiliary_affine=st.booleans(),
            target_weight=POSITIVE,
            head_affine=st.booleans(),
            attention=st.sampled_from(["bilinear", "mlp"]),
            attention_hidden=WIDTHS,
            auxiliary_weight=st.floats(0, 1e3),
            attention_scale=st.booleans(),
            auxiliary_activation=st.one_of(ACTIVATIONS, st.just("none")),
            auxiliary_average=st.sampled_from(["histories", "pairs", "positions"]),
            pooled_history=st.booleans(),
            head_batch_norm=st.booleans(),
            head_dropout=st.floats(0, 0.9),
        ),
        st.builds(
            RocketConfig,
            hidden_size=st.one_of(st.integers(1, 36), st.none()),
            booster_hidden_size=st.integers(36, 200),
            booster_head_hidden=WIDTHS,
            hint_weight=st.floats(0, 1e3),
        ),
    ),
    training=st.builds(
        TrainConfig,
        batch_size=SIZES,
        learning_rate=POSITIVE,
        learning_rate_decay=st.floats(1e-3, 1),
        auxiliary_negatives=st.sampled_from(["redrawn", "fixed"]),
        seed=st.integers(0, 2**63 - 1),
    ),
)


def test_the_default_is_the_papers_dien_with_an_auxiliary_loss_that_does_not_grow_with_the_histories() -> (
    None
):
    assert RunConfig().model == model_config("dien") == DIENConfig()
    paper = DIENConfig.paper()
    own = {"matches": True, "behaviour_attention": True}
    own |= {"auxiliary_average": "pairs", "auxiliary_weight": 3.0, "auxiliary_steps": "new"}
    own |= {"auxiliary_score": True, "embedding_dropout": 0.1}
    assert paper.model_copy(update=own) == DIENConfig()
    # What the paper's equations say; the rest is left open there.
    assert (paper.gru, paper.attention) == ("augru", "bilinear")
    assert (paper.auxiliary_weight, paper.auxiliary_average, paper.auxiliary_steps) == (1, "histories", "all")
    assert (paper.pooled_history, paper.attention_scale, paper.head_batch_norm) == (False, False, False)
    assert (paper.behaviour_attention, paper.last_behaviour, paper.head_dropout) == (False, False, 0)
    assert model_config("sum-pooling") == SumPoolingConfig()
    assert model_config("din") == DINConfig()


def test_every_model_has_matches_but_those_that_follow_another_code_to_the_letter() -> None:
    without = {name for name, config in MODELS.items() if not config.matches}
    assert without == {"dien:paper", "dien:authors", "dien:recbole"}


def test_the_models_are_those_of_the_papers_tables_in_their_order() -> None:
    assert list(MODELS) == [
        "sum-pooling",
        "wide-deep",
        "pnn",
        "din",
        "gru-attention",
        "gru+aigru",
        "gru+agru",
        "gru+augru",
        "dien",
        "dien:paper",
        "dien:authors",
        "dien:recbole",
        "rocket",
    ]
    assert model_config("dien:paper") == DIENConfig.paper()
    assert model_config("dien:authors") == DIENConfig.authors()
    assert model_config("dien:recbole") == DIENConfig.recbole()
    assert model_config("wide-deep") == WideDeepConfig()
    assert model_config("pnn") == PNNConfig()
    assert model_config("rocket") == RocketConfig()


def test_the_authors_dien_is_that_of_their_code() -> None:
    authors = DIENConfig.authors()
    assert (authors.embedding_size, authors.hidden_size, authors.max_history) == (18, 36, 100)
    assert (authors.gru, authors.gru_reset, authors.gru_gate_bias) == ("augru-complement", "before", 1)
    assert (authors.attention, authors.attention_query, authors.attention_scale) == ("mlp", "prelu", False)
    assert (authors.attention_hidden, authors.auxiliary_hidden) == ((80, 40), (100, 50))
    assert (authors.auxiliary_activation, authors.auxiliary_affine) == ("sigmoid", True)
    assert (authors.auxiliary_average, authors.auxiliary_weight) == ("positions", 1)
    assert authors.target_weight == 0.5
    assert (authors.pooled_history, authors.head_affine) == (True, True)
    assert (authors.head_hidden, authors.head_activation) == ((200, 80), "dice")


def test_recboles_dien_is_that_of_its_defaults() -> None:
    recbole, widths = DIENConfig.recbole(), (256, 256, 256)
    assert (recbole.embedding_size, recbole.hidden_size, recbole.max_history) == (10, None, 50)
    assert (recbole.gru, recbole.gru_reset, recbole.gru_initialisation) == ("augru", "after", "normal")
    assert (recbole.attention, recbole.attention_scale) == ("mlp", True)
    assert (recbole.auxiliary_activation, recbole.auxiliary_average) == ("none", "pairs")
    assert (recbole.attention_hidden, recbole.auxiliary_hidden, recbole.head_hidden) == (widths,) * 3
    assert (recbole.head_activation, recbole.head_batch_norm, recbole.head_dropout) == ("silu", True, 0)
    assert (recbole.auxiliary_weight, recbole.target_weight, recbole.pooled_history) == (1, 1, False)


def test_a_booster_narrower_than_the_light_net_is_refused_by_default_too() -> None:
    with pytest.raises(ValueError, match="at least hidden_size, the light net's 37"):
        RocketConfig(hidden_size=37)
    assert RocketConfig(hidden_size=36).booster_hidden_size == 36


def test_the_nets_of_rocket_launching_differ_in_their_sizes_alone() -> None:
    rocket = RocketConfig(gru="agru", booster_hidden_size=40, hint_weight=0.5)
    assert rocket.light() == DIENConfig(gru="agru", hidden_size=12, head_hidden=(80, 40))
    assert rocket.booster() == DIENConfig(gru="agru", hidden_size=40, head_hidden=(200, 80))
    assert type(rocket.light()) is type(rocket.booster()) is DIENConfig


@pytest.mark.parametrize("name", MODELS)
def test_a_models_name_stands_for_all_of_its_keys_below_file_and_overrides(name: str, tmp_path: Path) -> None:
    assert load_config(model=name).model == MODELS[name]
    path = tmp_path / "config.yaml"
    path.write_text("model: {embedding_size: 5}\ntraining: {epochs: 3}\n")
    config = load_config(path, ["model.max_history=7"], model=name)
    assert config.model == MODELS[name].model_copy(update={"embedding_size": 5, "max_history": 7})
    assert config.training.epochs == 3


def test_a_file_for_a_model_of_another_kind_says_nothing_of_the_one_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: {name: din, embedding_size: 5}\ntraining: {epochs: 3}\n")
    config = load_config(path, model="gru+agru")
    assert (config.model, config.training.epochs) == (MODELS["gru+agru"], 3)
    assert load_config(path, ["model.head_hidden=[9]"], model="din").model == DINConfig(
        embedding_size=5, head_hidden=(9,)
    )


def test_an_unknown_model_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown model 'dim'; expected one of: sum-pooling, wide-deep, .*, dien, "
    ):
        model_config("dim")
    with pytest.raises(ConfigError, match=r"unknown model 'dien:us'"):
        load_config(model="dien:us")


@given(config=RUNS)
def test_a_configuration_written_and_read_is_the_same(
    config: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path) == config


def test_a_written_configuration_names_every_key() -> None:
    written = yaml.safe_load(RunConfig().to_yaml())
    assert set(written["model"]) == set(DIENConfig.model_fields)
    assert set(written["training"]) == set(TrainConfig.model_fields)


def test_overrides_stand_above_the_file_and_the_file_above_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model:\n  hidden_size: 7\n  embedding_size: 8\ntraining: {epochs: 3}\n")
    base = RunConfig(training=TrainConfig(batch_size=99, epochs=77))
    config = load_config(path, ["model.hidden_size=64", "model.head_hidden=[32, 16]"], base)
    assert config.model == DIENConfig(hidden_size=64, embedding_size=8, head_hidden=(32, 16))
    assert config.training == TrainConfig(batch_size=99, epochs=3)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_configuration_file_changes_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert load_config(path) == RunConfig()


@pytest.mark.parametrize(
    ("override", "value"),
    [("2e-3", 0.002), ("0.5", 0.5), ("1", 1.0)],
)
def test_a_number_may_be_written_in_any_way_that_yaml_knows(override: str, value: float) -> None:
    assert load_config(overrides=[f"training.learning_rate={override}"]).training.learning_rate == value


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_keys_set_beside_another_model_are_that_models_in_any_order(order: tuple[int, ...]) -> None:
    chosen = ["model.max_history=7", "model.name=sum-pooling", "model.embedding_size=4"]
    config = load_config(overrides=[chosen[k] for k in order])
    assert config.model == SumPoolingConfig(embedding_size=4, max_history=7)
    given = ["model.max_history=7", "model={name: sum-pooling, embedding_size: 4}"]
    assert load_config(overrides=given).model == load_config(overrides=given[::-1]).model == config.model
    with pytest.raises(ConfigError, match=r"^unknown key model\.hidden_size; expected one of: model\.name"):
        load_config(overrides=["model.hidden_size=7", *chosen])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden_size=0", r"^model\.hidden_size: .* greater than 0 \(found 0\)"),
        ("model.hidden_size=wide", r"^model\.hidden_size: .* integer.*\(found 'wide'\)"),
        ("model.hidden_size.x=1", r"^model\.hidden_size: .*\(found \{'x': 1\}\)"),
        ("model.attention=dot", r"^model\.attention: .*'bilinear' or 'mlp' \(found 'dot'\)"),
        ("model.head_activation=gelu", r"^model\.head_activation: .*'dice'.*\(found 'gelu'\)"),
        ("model.head_hidden=[]", r"^model\.head_hidden: .*at least 1 item"),
        ("model.head_hidden=[4, -2]", r"^model\.head_hidden\.1: .*greater than 0 \(found -2\)"),
        ("model.hidden_size=[]", r"^model\.hidden_size: .*integer"),
        ("model.target_weight=0", r"^model\.target_weight: .*greater than 0"),
        ("model.auxiliary_weight=-1", r"^model\.auxiliary_weight: .*\(found -1\)"),
        ("model.hiden_size=3", r"^unknown key model\.hiden_size; did you mean model\.hidden_size\?$"),
        (
            "model.name=dim",
            r"^model\.name: .*: sum-pooling, .*, din, dien, rocket; a model of your own .* \(found 'dim'\)",
        ),
        ("model=dien", r"^model: .*\(found 'dien'\)"),
        ("training.learning_rate=.nan", r"^training\.learning_rate: .*finite.*\(found nan\)"),
        ("training.learning_rate=.inf", r"^training\.learning_rate: .*finite.*\(found inf\)"),
        ("training.seed=-1", r"^training\.seed: .*greater than or equal to 0 \(found -1\)"),
        (f"training.seed={2**63}", r"^training\.seed: .*less than or equal to 9223372036854775807"),
        ("training.negatives=fresh", r"^training\.negatives: .*'redrawn' or 'stored' \(found 'fresh'\)"),
        ("training.auxiliary_negatives=stored", r"^training\.auxiliary_negatives: .*'redrawn' or 'fixed'"),
        ("training.learning_rate_decay=0", r"^training\.learning_rate_decay: .*greater than 0"),
        ("training.learning_rate_decay=1.1", r"^training\.learning_rate_decay: .*less than or equal to 1"),
        ("model={name: rocket, booster_hidden_size: 8}", r"^model\.booster_hidden_size: .*12 \(found 8\)"),
        ("model={name: rocket, hint_weight: -1}", r"^model\.hint_weight: .*greater than or equal to 0"),
        ("model={name: rocket, booster_head_hidden: []}", r"^model\.booster_head_hidden: .*at least 1 item"),
        (
            "model={name: dien, hint_weight: 1}",
            r"^unknown key model\.hint_weight; expected one of: model\.name, .*, model\.gru, ",
        ),
        ("trainin.epochs=3", r"^unknown key trainin; did you mean training\?$"),
        ("epochs=3", r"^unknown key epochs; did you mean training\.epochs\?$"),
        ("model.learning_rate=3", r"^unknown key model\.learning_rate; did you mean training\.learning_rate"),
        ("nothing.like=3", r"^unknown key nothing; expected one of: model, training$"),
        ("training.nothing=3", r"^unknown key training\.nothing; expected one of: training\.batch_size, "),
        ("model.hidden_size", r"^--set model\.hidden_size: expected key=value"),
        ("=3", r"^--set =3: expected key=value"),
        ("model.gru=[", r"^--set model\.gru=\[: the value: not YAML"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=[override])


def test_all_problems_of_a_configuration_are_named_in_one_error() -> None:
    with pytest.raises(ConfigError, match=r"model\.hidden_size: .*; training\.epochs: "):
        load_config(overrides=["model.hidden_size=0", "training.epochs=0"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model:\n  hidden_size: 0\n", r"config\.yaml: model\.hidden_size: .*greater than 0"),
        (b"model: [\n", r"config\.yaml: not YAML"),
        (b"\x81\x80", r"config\.yaml: not YAML"),
        (b"- 1\n", r"config\.yaml: expected a mapping of keys, found list"),
    ],
)
def test_a_configuration_file_that_cannot_be_used_is_refused_by_its_name(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_configuration_file_that_is_missing_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DIENConfig(hiden_size=3), "DIENConfig: unknown key hiden_size; did you mean hidden_size?"),
        (
            lambda: Pretrained(path="x"),
            "Pretrained: file: Field required (found {'path': 'x'}); unknown key p",
        ),
        (lambda: Pretrained(typo=1, file="x.npy"), "unknown key typo; expected one of: file, ids, frozen"),
        (lambda: Pretrained(file="x"), "Pretrained: file is 'x', expected a name ending in .parquet or .npy"),
        (lambda: RunConfig(trainin=1), "RunConfig: unknown key trainin; did you mean training?"),
        (
            lambda: RunConfig(training={"epoch": 1}, model={"name": "din", "gru": "gru", "head_hiden": [1]}),
            "RunConfig: unknown key model.gru; expected one of: model.name, ",
        ),
        (
            lambda: RunConfig(training={"epoch": 1}, model={"name": "din", "head_hiden": [1]}),
            "unknown key model.head_hiden; did you mean model.head_hidden?; "
            "unknown key training.epoch; did you mean training.epochs?",
        ),
        (
            lambda: TrainConfig(epochs=0, pretrained={"item": {"file": "x.npy", "id": "x"}}),
            "TrainConfig: epochs: Input should be greater than 0 (found 0); unknown key pretrained.item.id; "
            "did you mean pretrained.item.ids?",
        ),
    ],
)
def test_a_configuration_made_by_hand_is_refused_in_the_words_of_one_that_is_read(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert message in str(refused.value)
    assert refused.value.__suppress_context__  # pydantic's own words are not shown beside ours


def test_a_configuration_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        DIENConfig().hidden_size = 3  # type: ignore[misc]


def test_a_file_of_keys_for_models_configures_the_one_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "training: {epochs: 4, batch_size: 64}\n"
        "models:\n  din: {training: {batch_size: 32}, model: {pooled_history: true}}\n  sum-pooling: {}\n"
    )
    din = load_config(file, ["training.epochs=3"], model="din")
    assert din.model == DINConfig(pooled_history=True)
    assert (din.training.batch_size, din.training.epochs) == (32, 3)
    assert load_config(file, model="sum-pooling").training.batch_size == 64
    assert load_config(file, model="dien").model == DIENConfig()
    with pytest.raises(ConfigError, match=r"c.yaml: has keys for din, sum-pooling; say which with --model"):
        load_config(file)
    file.write_text("models: {din: {model: {pooled_history: true}}}")
    assert load_config(file).model == DINConfig(pooled_history=True)


def test_a_named_model_goes_without_what_a_file_says_of_another(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model: {name: dien, hidden_size: 9}\ntraining: {epochs: 4}")
    assert load_config(file, model="din") == RunConfig(model=DINConfig(), training=TrainConfig(epochs=4))
    assert load_config(file, model="dien").model == DIENConfig(hidden_size=9)
    with pytest.raises(ConfigError, match="unknown model 'dian'"):
        load_config(file, model="dian")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["model.attention_hidden=[9]"],
            "model.attention_hidden has no effect with model.attention=bilinear",
        ),
        (["model.attention_scale=true"], "model.attention_scale has no effect with model.attention=bilinear"),
        (
            ["model.gru=aigru", "model.gru_initialisation=normal"],
            "model.gru_initialisation has no effect with model.gru=aigru",
        ),
        (
            ["model.auxiliary_weight=0", "model.auxiliary_affine=true"],
            "model.auxiliary_affine has no effect with model.auxiliary_weight=0.0",
        ),
        (
            ["model={name: rocket, auxiliary_weight: 0, auxiliary_hidden: [4]}"],
            "model.auxiliary_hidden has no effect with model.auxiliary_weight=0.0",
        ),
        (
            ["model={name: din}", "training.auxiliary_negatives=fixed"],
            "training.auxiliary_negatives has no effect without an auxiliary loss",
        ),
    ],
)
def test_a_key_without_effect_is_warned_of(
    overrides: list[str], expected: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    config = load_config(overrides=overrides)
    assert [str(warning.message) for warning in recwarn] == [expected]
    recwarn.clear()
    *others, idle = overrides
    key, _, value = idle.partition("=")
    for part in reversed(key.split(".")):
        value = f"{{{part}: {value}}}"
    file = tmp_path / "c.yaml"
    file.write_text(value)
    assert load_config(file, others) == config
    assert len(recwarn) == 1


def test_keys_with_effect_and_the_file_of_a_run_are_not_warned_of(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    load_config(overrides=["model.attention=mlp", "model.attention_hidden=[9]", "model.gru_gate_bias=1"])
    load_config(model="dien:recbole")
    file = tmp_path / "config.yaml"
    file.write_text(RunConfig(model=DIENConfig(attention_hidden=(9,), auxiliary_weight=0)).to_yaml())
    load_config(file)
    load_config(file, ["training.epochs=3"], model="gru+augru")
    load_config(file, model="din")
    assert not recwarn.list


@pytest.mark.parametrize("name", MODELS)
def test_what_has_no_effect_and_its_cause_are_keys_of_the_model(name: str) -> None:
    fields = type(MODELS[name]).model_fields
    for key, cause in MODELS[name].without_effect().items():
        assert key in fields
        assert cause in fields.keys() - {key}
