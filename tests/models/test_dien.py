from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models import DIEN, DIENConfig, Prediction
from tests.embeddings import InputsByHand, enlarge
from tests.equations import (
    assert_same,
    attention_logit,
    auxiliary_score,
    auxiliary_terms,
    final_interest,
    gru_states,
    mlp,
    under,
    weights_of,
)
from tests.models.batches import (
    EVERY_KIND,
    NO_PROFILE,
    SCHEMA,
    WITH_CONTEXT,
    alone,
    candidates,
    random_batch,
)

SMALL = {"embedding_size": 2, "hidden_size": 5, "attention_hidden": (6, 3), "head_hidden": (7, 4)}
LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]
BIASES_OF_SCORES = ("evolution.attention_layer.dense.bias", "behaviours.attention.dense.bias")
"""Have no gradient: the softmax over a history takes them away."""
SCHEMAS = {"no profile": NO_PROFILE, "no context": SCHEMA, "context": WITH_CONTEXT, "every kind": EVERY_KIND}


def model(schema: Schema = SCHEMA, *, seed: int = 0, **options: Any) -> DIEN:
    """A small model in float64 and evaluation, embeddings and statistics no longer what they start as."""
    torch.manual_seed(seed)
    dien = DIEN(DIENConfig(**(SMALL | options)), schema).double().eval()
    enlarge(dien)
    for name, buffer in dien.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return dien


def by_hand(dien: DIEN, schema: Schema, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Logits and the terms of the auxiliary loss: each candidate and history for itself, nothing shared."""
    config, weights = dien.config, weights_of(dien)
    inputs = InputsByHand(schema, weights, matches=dien.config.matches, popularity=dien.config.popularity)

    logits = []
    for b, r in enumerate(batch.history_of.tolist()):
        target = inputs.row(batch.target, b, "item")
        history = inputs.behaviours(batch, r)
        reset = config.gru_reset
        states = gru_states("gru", history, None, under(weights, "extractor.gru."), reset=reset)
        query = target
        if "query.weight" in weights:
            query = weights["query.weight"] @ target + weights["query.bias"]
        if config.attention_query == "prelu":
            query = weights["query.0.weight"] @ target + weights["query.0.bias"]
            query = torch.where(query > 0, query, weights["query.1.weight"] * query)
        divisor = states.shape[1] ** 0.5 if config.attention_scale else 1.0
        evolution = under(weights, "evolution.")
        final = final_interest(
            evolution,
            config.gru.upper(),
            query,
            states,
            divisor=divisor,
            reset=reset,
            behaviours=history if config.attended_behaviours else None,
        )
        parts = [final, target, inputs.profile(batch, b)]
        if config.pooled_history:
            items = inputs.sequence(batch.history, batch, r, "item")
            parts += [items.sum(0), items.sum(0) * target]
        if config.behaviour_attention:
            attention, query = under(weights, "behaviours.attention."), target
            if "behaviours.query.weight" in weights:
                query = weights["behaviours.query.weight"] @ target + weights["behaviours.query.bias"]
            scores = [torch.exp(attention_logit(attention, query, key, "sigmoid", 1)) for key in history]
            weighted = [score / sum(scores) * key for score, key in zip(scores, history, strict=True)]
            parts.append(torch.stack(weighted).sum(0) if weighted else history.sum(0))
        if config.last_behaviour:
            parts.append(history[-1] if len(history) else history.sum(0))
        if config.scores_target:
            score = auxiliary_score(under(weights, "extractor."), config.auxiliary_activation)
            parts.append(score(states[-1], target)[None] if len(states) else target.new_zeros(1))
        joined = torch.cat(parts)
        if config.head_affine:
            joined = weights["affine.weight"] * joined + weights["affine.bias"]
        head, norm = under(weights, "head."), config.head_batch_norm
        hidden = mlp(head, joined, config.head_activation, batch_norm=norm)
        logits.append((weights["logit.weight"] @ hidden + weights["logit.bias"])[0])

    terms: list[Tensor] = []
    if batch.negatives is not None and config.auxiliary_weight:
        for r in range(len(batch.offsets) - 1):
            history = inputs.behaviours(batch, r)
            extractor = under(weights, "extractor.")
            reset = config.gru_reset
            states = gru_states("gru", history, None, under(extractor, "gru."), reset=reset)
            items, others = (
                inputs.sequence(columns, batch, r, "item") for columns in (batch.history, batch.negatives)
            )
            terms += auxiliary_terms(extractor, states, items, others, config.auxiliary_activation)
    return torch.stack(logits), terms


def averaged(terms: list[Tensor], config: DIENConfig) -> Tensor:
    """The auxiliary loss of ``LENGTHS`` from its terms."""
    R, B, longest = len(LENGTHS), len(HISTORY_OF), max(LENGTHS)
    pairs = len(terms) if config.auxiliary_steps == "all" else max(len(terms), 2 * 3 * B)
    divisor = {"pairs": pairs, "histories": R, "positions": R * (longest - 1)}[config.auxiliary_average]
    return torch.stack(terms).sum() / divisor


def shake(dien: DIEN) -> None:
    """Have nothing start as what does nothing: scales of 1, shifts of 0, statistics of nothing seen."""
    for name, tensor in dien.state_dict().items():
        if "affine" in name or "running" in name or ".alpha" in name or name.startswith("query.1."):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)


@pytest.mark.parametrize("average", ["pairs", "histories"])
@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("gru", ["gru", "aigru", "agru", "augru"])
def test_a_batch_is_predicted_as_by_the_equations_with_nothing_shared(
    gru: str, attention: str, average: str
) -> None:
    dien = model(gru=gru, attention=attention, auxiliary_average=average)
    batch = random_batch(LENGTHS, HISTORY_OF)
    logits, loss = dien(batch)
    expected, terms = by_hand(dien, SCHEMA, batch)
    assert_same(logits, expected, list(dien.parameters()))
    assert loss is not None
    assert_same(loss, averaged(terms, dien.config), list(dien.parameters()))


@pytest.mark.parametrize(
    "options",
    [
        {"gru": "augru-complement"},
        {"gru_reset": "before"},
        {"gru_reset": "before", "gru": "aigru"},
        {"gru_reset": "before", "gru": "gru", "attention": "mlp"},
        {"gru_gate_bias": 1.0},
        {"gru_initialisation": "normal"},
        {"hidden_size": None},
        {"attention_query": "prelu"},
        {"attention_query": "prelu", "attention": "mlp"},
        {"auxiliary_activation": "sigmoid"},
        {"auxiliary_affine": True},
        {"auxiliary_average": "positions"},
        {"auxiliary_steps": "all"},
        {"auxiliary_score": False},
        {"head_affine": True},
        {"head_activation": "silu"},
        {"head_activation": "silu", "head_batch_norm": True},
        dict(DIENConfig.authors()) | SMALL,
        dict(DIENConfig.recbole()) | SMALL | {"hidden_size": None},
        {"pooled_history": True},
        {"behaviour_attention": False},
        {"attended_behaviours": True},
        {"attended_behaviours": True, "gru": "gru"},
        {"attended_behaviours": True, "gru": "aigru"},
        {"behaviour_attention_hidden": (4,)},
        {"behaviour_attention_hidden": (4, 3), "pooled_history": True},
        {"last_behaviour": True},
        {"position_embedding": True, "last_behaviour": True},
        {"popularity": True},
        {"popularity": True, "matches": False},
        {"attention": "mlp"},
        {"attention": "mlp", "hidden_size": 4},  # as wide as an item: no projection of the target
        {"attention": "mlp", "attention_hidden": (20, 3)},  # as wide as the attention's input
        {"attention": "mlp", "attention_scale": True},
        {"auxiliary_activation": "none"},
        {"head_batch_norm": True},
        {"head_batch_norm": True, "head_activation": "silu", "head_dropout": 0.5},
        {"head_activation": "prelu", "auxiliary_activation": "sigmoid", "head_hidden": (3,)},
    ],
    ids=str,
)
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_option_follows_the_equations_too(schema: Schema, options: dict[str, Any]) -> None:
    dien, batch = model(schema, **options), random_batch(LENGTHS, HISTORY_OF, schema)
    shake(dien)
    logits, loss = dien(batch)
    expected, terms = by_hand(dien, schema, batch)
    assert_same(logits, expected, list(dien.parameters()))
    assert loss is not None
    assert_same(loss, averaged(terms, dien.config), list(dien.parameters()))


@settings(max_examples=30)
@given(
    marked=st.lists(st.booleans(), min_size=sum(LENGTHS), max_size=sum(LENGTHS)),
    few=st.booleans(),
    shown=st.booleans(),
)
def test_the_auxiliary_loss_is_of_the_steps_before_new_behaviours_alone(
    marked: list[bool], few: bool, shown: bool
) -> None:
    dien, batch = model(auxiliary_steps="new"), random_batch(LENGTHS, HISTORY_OF)
    batch = batch if few else candidates(batch, [0])  # with one candidate three new behaviours are enough
    batch = replace(batch, shown=shown)
    _, terms = by_hand(dien, SCHEMA, batch)
    is_next = [t > 0 for length in (batch.offsets[1:] - batch.offsets[:-1]).tolist() for t in range(length)]
    marked = marked[: len(is_next)]
    new = [mark for mark, wanted in zip(marked, is_next, strict=True) if wanted]
    loss = dien(replace(batch, supervised=torch.tensor(marked))).auxiliary_loss
    pairs = zip(terms[::2], terms[1::2], strict=True)
    total = sum((a + b for mark, (a, b) in zip(new, pairs, strict=True) if mark), torch.zeros(()).double())
    enough = (1 if shown else 3) * len(batch)
    assert_same(loss, total / max(2 * sum(new), 2 * enough), list(dien.parameters()))
    of_all = model(auxiliary_steps="all")
    assert_same(
        of_all(replace(batch, supervised=torch.tensor(marked))).auxiliary_loss, torch.stack(terms).mean()
    )


@pytest.mark.parametrize("preset", [DIENConfig.authors(), DIENConfig.recbole()])
def test_every_key_of_a_preset_can_be_set_alone_and_changes_the_model_loss_or_start(
    preset: DIENConfig,
) -> None:
    batch = random_batch(LENGTHS, HISTORY_OF, EVERY_KIND)

    def what_is_trained(config: DIENConfig) -> list[Tensor]:
        torch.manual_seed(0)
        dien = DIEN(config, EVERY_KIND).double()
        enlarge(dien)
        prediction = dien(batch)
        return [prediction.logits, dien.loss(prediction, batch), *dien.parameters()]

    usual, base = DIENConfig(), what_is_trained(DIENConfig())
    differing = [key for key, value in preset if value != getattr(usual, key)]
    assert len(differing) > 10
    for key in differing:
        if key in ("attention_hidden", "attention_scale"):  # of the MLP attention
            alone = DIENConfig(attention="mlp", **{key: getattr(preset, key)})
            found, other = what_is_trained(alone), what_is_trained(DIENConfig(attention="mlp"))
        elif key == "max_history":  # what batches are cut at: tests/training/test_fit.py
            continue
        else:
            found, other = what_is_trained(DIENConfig(**{key: getattr(preset, key)})), base
        same = [a.shape == b.shape and torch.equal(a, b) for a, b in zip(found, other, strict=False)]
        assert len(found) != len(other) or not all(same), key


@pytest.mark.parametrize(
    ("config", "other"),
    [
        (DIENConfig(), {"attention_hidden": (9,), "attention_scale": True}),
        (DIENConfig(behaviour_attention=False), {"behaviour_attention_hidden": (9,)}),
        (DIENConfig(gru="gru"), {"gru_initialisation": "normal"}),
        (DIENConfig(gru="aigru"), {"gru_initialisation": "normal"}),
        (
            DIENConfig(auxiliary_weight=0),
            {
                "auxiliary_hidden": (9,),
                "auxiliary_activation": "tanh",
                "auxiliary_affine": True,
                "auxiliary_average": "positions",
                "auxiliary_steps": "all",
                "auxiliary_score": False,
            },
        ),
    ],
    ids=str,
)
def test_keys_without_effect_change_neither_the_loss_nor_its_gradients(
    config: DIENConfig, other: dict[str, Any]
) -> None:
    batch = random_batch(LENGTHS, HISTORY_OF)
    config = config.model_copy(update={"match_dropout": 0.0, "embedding_dropout": 0.0})
    assert other.keys() <= config.without_effect().keys()
    one, two = (DIEN(found, SCHEMA) for found in (config, config.model_copy(update=other)))
    unused = () if config.auxiliary_weight else ("extractor.auxiliary_net.", "extractor.auxiliary_affine.")
    state = one.state_dict()
    two.load_state_dict(
        {name: state[name] for name in state if not name.startswith(unused)}, strict=not unused
    )
    for dien in (one, two):
        dien.losses(batch).total.backward()
    assert torch.equal(one.losses(batch).total, two.losses(batch).total)
    parameters = dict(two.named_parameters())
    for name, parameter in one.named_parameters():
        if name.startswith(unused):
            assert parameter.grad is None
        else:
            assert parameter.grad is not None
            assert torch.equal(parameter.grad.to_dense(), parameters[name].grad.to_dense()), name


def test_the_biases_of_reset_and_update_gates_start_at_gru_gate_bias() -> None:
    for gru in ("gru", "aigru", "agru", "augru", "augru-complement"):
        dien = model(gru=gru, gru_gate_bias=1.0)
        biases = [p for name, p in dien.named_parameters() if "bias_ih" in name or "bias_hh" in name]
        assert len(biases) == 4
        for ih, hh in (biases[:2], biases[2:]):
            assert ((ih + hh)[:10] == 1).all()
            assert (ih + hh)[10:].abs().min() > 0


def test_the_evolving_grus_weights_start_as_those_of_recbole_with_initialisation_normal() -> None:
    def weights(initialisation: str) -> Tensor:
        dien = model(hidden_size=40, gru_initialisation=initialisation)
        return dien.evolution.dynamic_rnn.rnn.weight_hh.detach()

    assert weights("normal").std() == pytest.approx(1, abs=0.05)
    assert weights("uniform").abs().max() <= 40**-0.5


def test_a_hidden_size_of_null_makes_states_as_wide_as_items() -> None:
    for schema, width in ((SCHEMA, 4), (EVERY_KIND, 2 + 3 + 2 + 1 + 2 + 2)):
        dien = model(schema, hidden_size=None, attention="mlp")
        assert dien.hidden_size == dien.extractor.gru.hidden_size == width
        assert isinstance(dien.query, torch.nn.Identity)


def test_presets_of_papers_and_code_have_the_loss_at_all_steps_and_no_attention_beside_the_state() -> None:
    for preset in (DIENConfig.paper(), DIENConfig.authors(), DIENConfig.recbole()):
        assert preset.supervised_steps == "all"
        assert not preset.matches
        assert not preset.attended_behaviours
        dien = DIEN(preset, SCHEMA)
        assert not [name for name, _ in dien.named_parameters() if "behaviour" in name]
        other = DIEN(preset.model_copy(update={"behaviour_attention": True}), SCHEMA)
        assert [name for name, _ in other.named_parameters() if "behaviour" in name]


def test_the_authors_loss_is_half_the_cross_entropy_and_the_whole_auxiliary_loss() -> None:
    prediction = Prediction(torch.tensor([0.3, -1.2]), torch.tensor(2.0))
    batch = replace(random_batch([3], [0, 0]), label=(label := torch.tensor([1.0, 0.0])))
    two = torch.softmax(torch.stack([prediction.logits, torch.zeros(2)], 1), 1)  # a click, none
    one_hot = torch.stack([label, 1 - label], 1)
    expected = -(torch.log(two) * one_hot).mean() + 2.0
    found = DIEN(DIENConfig.authors(), SCHEMA).loss(prediction, batch)
    torch.testing.assert_close(found, expected)


def test_a_linear_auxiliary_network_is_one_matrix_whatever_its_depth() -> None:
    dien, batch = model(auxiliary_activation="none"), random_batch(LENGTHS, HISTORY_OF)
    layers = [m for m in dien.extractor.auxiliary_net.modules() if isinstance(m, torch.nn.Linear)]
    assert len(layers) == 3
    x, y = torch.randn(2, layers[0].in_features, dtype=torch.float64)
    net = dien.extractor.auxiliary_net
    torch.testing.assert_close(net(x) + net(y), net(x + y) + net(torch.zeros_like(x)))
    assert dien(batch).auxiliary_loss is not None


def test_a_hidden_layer_as_wide_as_the_attentions_input_is_not_lost() -> None:
    dien = model(attention="mlp", attention_hidden=(20, 3))
    shapes = [tuple(p.shape) for p in dien.evolution.attention_layer.parameters() if p.ndim == 2]
    assert shapes == [(20, 20), (3, 20), (1, 3)]


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    data=st.data(),
    gru=st.sampled_from(["gru", "aigru", "agru", "augru", "augru-complement"]),
    reset=st.sampled_from(["after", "before"]),
    attention=st.sampled_from(["bilinear", "mlp"]),
    schema=st.sampled_from([WITH_CONTEXT, EVERY_KIND]),
)
def test_a_candidate_scores_the_same_alone_and_among_others(
    lengths: list[int], data: st.DataObject, gru: str, reset: str, attention: str, schema: Schema
) -> None:
    dien = model(schema, gru=gru, gru_reset=reset, attention=attention, pooled_history=True)
    history_of = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6))
    batch = random_batch(lengths, history_of, schema)
    logits = dien(batch).logits
    each = torch.cat([dien(alone(batch, b)).logits for b in range(len(batch))])
    torch.testing.assert_close(logits, each, rtol=0, atol=1e-12)


def test_the_order_of_a_batch_does_not_matter() -> None:
    dien, batch = model(EVERY_KIND), random_batch(LENGTHS, HISTORY_OF, EVERY_KIND)
    order = [3, 6, 0, 2, 5, 1, 4]
    torch.testing.assert_close(dien(candidates(batch, order)).logits, dien(batch).logits[order])


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("gru", ["gru", "aigru", "agru", "augru", "augru-complement"])
@pytest.mark.parametrize("lengths", [[0], [0, 0, 0]])
def test_empty_histories_give_finite_logits_losses_and_gradients(
    lengths: list[int], gru: str, reset: str
) -> None:
    dien = model(EVERY_KIND, gru=gru, gru_reset=reset, pooled_history=True).train()
    logits, loss = dien(random_batch(lengths, list(range(len(lengths))) * 2, EVERY_KIND))
    assert torch.isfinite(logits).all()
    assert loss == 0
    (logits.sum() + loss).backward()
    for parameter in dien.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad.to_dense()).all()


def test_a_history_that_no_candidate_reads_changes_no_logit() -> None:
    dien, batch = model(), random_batch(LENGTHS, [0, 0])
    torch.testing.assert_close(dien(batch).logits[0], dien(alone(batch, 0)).logits[0])


def test_without_negatives_there_is_no_auxiliary_loss() -> None:
    assert model()(random_batch(LENGTHS, HISTORY_OF, negatives=False)).auxiliary_loss is None


def test_with_auxiliary_weight_zero_there_is_no_auxiliary_loss_and_the_logits_are_the_same() -> None:
    batch = random_batch(LENGTHS, HISTORY_OF)
    without = model(auxiliary_weight=0)(batch)
    assert without.auxiliary_loss is None
    assert torch.equal(without.logits, model(auxiliary_score=False)(batch).logits)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("gru", ["gru", "aigru", "augru", "augru-complement"])
def test_gradients_reach_every_parameter(gru: str, attention: str, pooled: bool) -> None:
    options = {"gru": gru, "attention": attention, "pooled_history": pooled}
    dien = model(EVERY_KIND, **options).train()
    batch = random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)
    logits, loss = dien(batch)
    assert batch.label is not None
    assert loss is not None
    target = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.label.double())
    (target + loss).backward()
    for name, parameter in dien.named_parameters():
        assert parameter.grad is not None, name
        if name not in BIASES_OF_SCORES:
            assert parameter.grad.to_dense().any(), name


def test_gradients_reach_every_parameter_of_the_authors() -> None:
    dien = model(EVERY_KIND, **dict(DIENConfig.authors()) | SMALL).train()
    batch = random_batch([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)
    dien.losses(batch).total.backward()
    for name, parameter in dien.named_parameters():
        assert parameter.grad is not None, name
        if name not in BIASES_OF_SCORES:
            assert parameter.grad.to_dense().any(), name


def test_embedding_gradients_are_sparse() -> None:
    dien = model(EVERY_KIND).train()
    logits, loss = dien(random_batch(LENGTHS, HISTORY_OF, EVERY_KIND))
    (logits.sum() + loss).backward()
    gradients = [p.grad for name, p in dien.named_parameters() if ".tables." in name]
    assert len(gradients) == 8
    assert all(g is not None and g.is_sparse for g in gradients)


def test_a_state_dict_names_every_tensor_once() -> None:
    state = model(EVERY_KIND).state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


def test_a_schema_of_indices_alone_has_the_tables_of_items_then_those_of_users_drawn_first() -> None:
    torch.manual_seed(7)
    dien = DIEN(DIENConfig(), SCHEMA)
    found = {name: p for name, p in dien.state_dict().items() if name.startswith("inputs.")}
    torch.manual_seed(7)
    expected = {}
    for part, sizes in {"item": [30, 6], "profile": [9, 4]}.items():
        weights = [torch.nn.Embedding(size, 18).weight.detach() for size in sizes]
        for k, weight in enumerate(weights):
            torch.nn.init.normal_(weight, std=0.01)[0] = 0
            expected[f"inputs.{part}.tables.{k}.weight"] = weight
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_the_same_seed_builds_the_same_model() -> None:
    one, other = (model(seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["logit.weight"], model(seed=4).state_dict()["logit.weight"])


def test_a_training_step_takes_memory_by_its_packed_steps_and_not_by_the_longest_history() -> None:
    """One history of 449 among 63 of 1 takes what 64 of 8 take: as many packed steps, as many pairs."""

    def allocations(lengths: list[int]) -> list[int]:
        batch = random_batch(lengths, list(range(len(lengths))))
        dien = model().float().train()
        with torch.profiler.profile(profile_memory=True) as profile:
            logits, auxiliary = dien(batch)
            assert auxiliary is not None
            (logits.sum() + auxiliary).backward()
        used = (event.self_cpu_memory_usage for event in profile.events() or ())
        return [bytes_ for bytes_ in used if bytes_ > 0]

    even, uneven = allocations([8] * 64), allocations([449] + [1] * 63)
    assert max(uneven) <= 1.1 * max(even)
    assert sum(uneven) <= 1.5 * sum(even)  # a padded [R, T, H] would be 56 times the packed [N, H]
