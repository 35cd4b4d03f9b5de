from typing import Any

import pytest
import torch
from torch import Tensor

from dien.bench.profile import STAGES, _watched, profile
from dien.bench.shapes import Shape, draws, paper
from dien.bench.subject import Subject
from dien.config import RunConfig
from dien.models import DIEN, Prediction

SMALL = Shape("8 histories for two rows each", 8, 2, mean=3)
SLEEP = 0.01


class Clock:
    """What the profile takes for the time: it stands still but for what sleeps by it."""

    now = 1.0

    @classmethod
    def sleep(cls, seconds: float) -> None:
        cls.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr("dien.bench.profile.time.perf_counter", lambda: Clock.now)
    return Clock


def subject() -> Subject:
    return Subject(paper(), draws(SMALL, paper(), items=50, batches=2), items=50)


class Sleepy(torch.autograd.Function):
    """The identity, which takes its time once forward and twice backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        Clock.sleep(SLEEP)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        Clock.sleep(2 * SLEEP)
        return grads[0]


def slow_down(owner: object, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first tensor that a method returns pass through :class:`Sleepy`."""
    call = getattr(owner, method)

    def slow(*arguments: Any, **options: Any) -> Any:
        result = call(*arguments, **options)
        if isinstance(result, Tensor):
            return Sleepy.apply(result)
        first, *rest = result
        return (
            (Sleepy.apply(first), *rest)
            if type(result) is tuple
            else type(result)(Sleepy.apply(first), *rest)
        )

    monkeypatch.setattr(owner, method, slow)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("place", "method", "stage"),
    [
        ("model.inputs.item", "forward", "embeddings"),
        ("model.extractor", "states", "extractor"),
        ("model.evolution.attention_layer", "forward", "attention"),
        ("model.evolution.dynamic_rnn.rnn", "forward", "evolution"),
        ("model.extractor", "_loss", "auxiliary network"),
        ("model.head", "forward", "head"),
        ("model.logit", "forward", "head"),
        ("model", "loss", "loss"),
        ("model", "forward", "rest"),
    ],
)
def test_time_goes_to_the_stage_that_takes_it(
    place: str, method: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed = subject()
    owner: Any = slowed
    for name in place.split("."):
        owner = getattr(owner, name)
    slow_down(owner, method, monkeypatch)
    stages = profile(slowed, rounds=2).stages
    assert stages[stage].forward == pytest.approx(SLEEP)
    assert stages[stage].backward == pytest.approx(2 * SLEEP)
    others = [cost for name, cost in stages.items() if name != stage]
    assert max(max(cost.forward, cost.backward, cost.update) for cost in others) == pytest.approx(0)


def test_a_slow_optimiser_is_the_optimisers(clock: type[Clock], monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = subject()
    step = slowed.optimiser.step
    monkeypatch.setattr(slowed.optimiser, "step", lambda: (clock.sleep(SLEEP), step()))
    found = profile(slowed, rounds=1)
    assert found.stages["optimiser"].update == pytest.approx(SLEEP)
    assert found.step == pytest.approx(SLEEP)
    assert found.seconds == pytest.approx(found.step)


def test_every_stage_is_seen_and_has_its_parts() -> None:
    found = profile(subject(), rounds=2)
    assert tuple(found.stages) == STAGES
    for name, cost in found.stages.items():
        assert (cost.forward > 0, cost.backward > 0) == ((name != "optimiser",) * 2)
        assert (cost.update > 0) == (name == "optimiser")
        assert cost.seconds == cost.forward + cost.backward + cost.update
    assert found.seconds == sum(cost.seconds for cost in found.stages.values())


def test_being_watched_changes_no_result_and_leaves_nothing_behind() -> None:
    watched = subject()
    model, batch = watched.model, watched.batches[0]
    assert isinstance(model, DIEN)

    def gradients() -> list[Tensor]:
        model.zero_grad()
        prediction: Prediction = model(batch)
        model.loss(prediction, batch).backward()  # type: ignore[no-untyped-call]
        found = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
        return [prediction.logits.detach(), *(grad.to_dense() for grad in found)]

    alone = gradients()
    with _watched(model) as clock:
        observed = gradients()
    assert clock.seconds
    clock.seconds.clear()
    after = gradients()
    assert not clock.seconds
    for a, b, c in zip(alone, observed, after, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-7)  # a sum of gradients may have another order
        assert torch.equal(a, c)


@pytest.mark.parametrize(("name", "model"), [("din", "DIN"), ("rocket", "Rocket")])
def test_another_model_has_no_such_stages(name: str, model: str) -> None:
    config = RunConfig.model_validate({"model": {"name": name}})
    with pytest.raises(TypeError, match=f"{model}: only DIEN's step"):
        profile(Subject(config, draws(SMALL, config, items=50, batches=1), items=50), rounds=1)


def test_a_step_of_rocket_launching_trains_both_nets() -> None:
    config = RunConfig.model_validate({"model": {"name": "rocket"}})
    (batch,) = draws(SMALL, config, items=50, batches=1)
    subject = Subject(config, [batch], items=50)
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    subject.train(batch)
    after = subject.model.state_dict()
    for name in ("logit.weight", "booster.logit.weight"):
        assert not torch.equal(before[name], after[name])
