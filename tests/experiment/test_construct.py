"""From config to objects: a key that is misspelt, mistyped or missing is named."""

import dataclasses

import jax.numpy as jnp
import pytest

from jasr.errors import UserError
from jasr.experiment.construct import construct, construct_named
from jasr.experiment.objective import build_objective


@dataclasses.dataclass(frozen=True)
class Thing:
    size: int
    rate: float = 0.1
    name_of_it: str = "x"
    limit: int | None = None
    shape: tuple[int, ...] = ()
    given: str = ""


def test_keys_become_fields():
    made = construct(Thing, {"size": 3, "rate": 1, "shape": [1, 2]}, "config.thing", given="g")
    assert made == Thing(size=3, rate=1, shape=(1, 2), given="g")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sise": 3}, "config.thing.sise is no key of config.thing: did you mean 'size'"),
        ({}, "config.thing lacks the key 'size'"),
        ({"size": 1.5}, "config.thing.size is 1.5, but it must be int"),
        ({"size": True}, "config.thing.size is True, but it must be int"),
        ({"size": 1, "rate": "fast"}, "config.thing.rate is 'fast', but it must be float"),
        ({"size": 1, "limit": "no"}, "must be int or nothing"),
        ({"size": 1, "given": "me"}, "config.thing.given is no key"),
    ],
)
def test_mistakes_are_named(section, message):
    with pytest.raises(UserError, match=message):
        construct(Thing, section, "config.thing", given="g")


def test_a_name_chooses_the_class():
    registry = {"thing": Thing}
    assert construct_named(registry, {"name": "thing", "size": 1}, "config.x") == Thing(size=1)
    with pytest.raises(UserError, match=r"config.x.name 'thin' is unknown: did you mean 'thing'"):
        construct_named(registry, {"name": "thin"}, "config.x")
    with pytest.raises(UserError, match="lacks the key 'name'"):
        construct_named(registry, {"size": 1}, "config.x")


def test_a_weight_may_be_an_optax_schedule():
    ramp = {"name": "linear", "init_value": 0.0, "end_value": 1.0, "transition_steps": 10}
    objective = build_objective(
        {"ctc": {"name": "ctc", "weight": ramp}, "ce": {"name": "cross_entropy", "weight": 0.5}}
    )
    weights = objective.weights(jnp.asarray(5))
    assert float(weights["ctc"]) == pytest.approx(0.5)
    assert float(weights["ce"]) == 0.5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "config.objective is empty"),
        ({"a": {"name": "ctcc"}}, "config.objective.a.name 'ctcc' is unknown: did you mean 'ctc'"),
        ({"a": {"name": "ctc", "wieght": 1.0}}, "config.objective.a.wieght is no key"),
        ({"a": {"name": "ctc", "weight": {"name": "liner"}}}, "did you mean 'linear'"),
        ({"a": {"name": "ctc", "weight": {"name": "linear", "x": 1}}}, "optax's linear schedule"),
    ],
)
def test_a_wrong_objective_is_named(config, message):
    with pytest.raises(UserError, match=message):
        build_objective(config)
