"""Optimizers of optax, driven by regular expressions over parameter paths.

gradients ─▶ clip ─▶ algorithm ─▶ weight decay ─▶ multipliers ─▶ − learning rate ─▶ updates
                                  (by path)       (by path)        (schedule)
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jasr.errors import UserError, nearest
from jasr.layers.choices import choose
from jasr.training.average import Average, with_average
from jasr.training.layer_decay import LAYERS, layer_factors, over_layers
from jasr.training.masked import is_masked
from jasr.training.masters import with_masters
from jasr.training.muon import scale_by_muon
from jasr.training.unfreezing import with_unfreezing
from jasr.types import path_of

SCHEDULES = ("cosine", "linear", "inverse_sqrt", "constant")
ALGORITHMS = ("adamw", "adafactor", "lion", "muon")
# Labels of parameters; others are the regular expressions of groups.
TRAINED, FROZEN = "trained", "frozen"
DTYPES = MappingProxyType({"float32": jnp.float32, "bfloat16": jnp.bfloat16})


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """A linear warm-up to `peak`, then a decay over the rest of `num_steps`.

    schedule:     "cosine" or "linear" to `final_fraction` of the peak; "inverse_sqrt"
                  (Vaswani et al., 2017, section 5.3); "constant".
    warmup_steps: steps of warm-up, at most num_steps.
    """

    peak: float
    num_steps: int
    schedule: str = "cosine"
    warmup_steps: int = 0
    final_fraction: float = 0.0

    def __call__(self, step: jax.typing.ArrayLike) -> jax.Array:
        decay_steps = max(self.num_steps - self.warmup_steps, 1)
        match self.schedule:
            case "cosine":
                decay = optax.cosine_decay_schedule(self.peak, decay_steps, self.final_fraction)
            case "linear":
                decay = optax.linear_schedule(
                    self.peak, self.peak * self.final_fraction, decay_steps
                )
            case "inverse_sqrt":
                decay = self._inverse_sqrt
            case "constant":
                decay = optax.constant_schedule(self.peak)
            case _:
                raise UserError(
                    f"config.optimizer.learning_rate.schedule {self.schedule!r} is unknown: "
                    f"{nearest(self.schedule, SCHEDULES)}"
                )
        warmup = optax.linear_schedule(0.0, self.peak, max(self.warmup_steps, 1))
        return optax.join_schedules([warmup, decay], [self.warmup_steps])(step)

    def _inverse_sqrt(self, steps_after_warmup: jax.typing.ArrayLike) -> jax.Array:
        warmup_steps = max(self.warmup_steps, 1)
        # optax evaluates a schedule before its time too, and then picks the other.
        steps = warmup_steps + jnp.maximum(jnp.asarray(steps_after_warmup), 0)
        return self.peak * (warmup_steps / steps) ** 0.5


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """What config.optimizer says; `build` makes the optax transformation.

    Paths look like "encoder/layers/attention/query/kernel". A regular expression that matches
    no parameter is an error: it is a typing mistake far more often than it is meant.

    weight_decay:  decoupled, applied to parameters whose path does not match `no_weight_decay`.
    multipliers:   regular expression -> factor on the learning rate; the first match counts. Of a
                   stack's parameters it may be a factor for each layer, first to last.
    frozen:        regular expressions of parameters that are not trained and hold no state.
    unfreeze:      regular expression -> the step from which on parameters are trained, or that of
                   each layer; the first match counts.
    layer_decay:   factor on the learning rate from each layer to the one below (`layer_factors`).
    params_dtype:  what parameters are kept in; where it is not float32, the optimizer's state has
                   float32 masters of them.
    average:       the moving average of the parameters to keep; None for none.
    groups:        regular expression -> another optimizer, for the parameters that it matches.
    """

    learning_rate: LearningRate
    algorithm: str = "adamw"
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-8
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    no_weight_decay: tuple[str, ...] = ()
    multipliers: Mapping[str, float | Sequence[float]] = dataclasses.field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    unfreeze: Mapping[str, int | Sequence[int]] = dataclasses.field(default_factory=dict)
    layer_decay: float = 1.0
    params_dtype: str = "float32"
    average: Average | None = None
    groups: Mapping[str, "Optimizer"] = dataclasses.field(default_factory=dict)

    def build(self, params: Any, axes: Any) -> optax.GradientTransformation:
        """The transformation for these parameters.

        params: shapes or arrays; axes: the logical axis names of each, for Muon's matrices.
        """
        decayed = _by_path(params, self.no_weight_decay, "no_weight_decay", lambda match: not match)
        transforms = [
            optax.clip_by_global_norm(self.clip_norm) if self.clip_norm else optax.identity(),
            self._algorithm(axes),
            optax.add_decayed_weights(self.weight_decay, mask=decayed)
            if self.weight_decay
            else optax.identity(),
            _multiply(_numbers(params, self.multipliers, "multipliers", 1.0)),
            _multiply(layer_factors(params, self.layer_decay))
            if self.layer_decay != 1.0
            else optax.identity(),
            optax.scale_by_learning_rate(self.learning_rate),
        ]
        trained = optax.chain(*transforms)
        if self.unfreeze:
            starts = _numbers(params, self.unfreeze, "unfreeze", 0)
            self._must_start()
            trained = with_unfreezing(trained, starts)
        if choose(DTYPES, self.params_dtype, key="config.optimizer.params_dtype") != jnp.float32:
            trained = with_masters(trained)
        if self.frozen or self.groups:
            others = {name: group.build(params, axes) for name, group in self.groups.items()}
            trained = optax.partition(
                {TRAINED: trained, FROZEN: optax.set_to_zero(), **others}, self._labels(params)
            )
        return trained if self.average is None else with_average(trained, self.average)

    def _must_start(self) -> None:
        for pattern, start in self.unfreeze.items():
            if np.max(start) >= self.learning_rate.num_steps:
                raise UserError(
                    f"config.optimizer.unfreeze: {pattern!r} is trained from step {np.max(start)} "
                    f"on, and config.train.num_steps is {self.learning_rate.num_steps}: let it "
                    f"begin before, or name it in config.optimizer.frozen"
                )

    def is_frozen(self, params: Any) -> Any:
        """Of each parameter, whether it is one of `frozen`."""
        return jax.tree.map(lambda label: label == FROZEN, self._labels(params))

    def _labels(self, params: Any) -> Any:
        names = dict.fromkeys(self.frozen, FROZEN) | {name: name for name in self.groups}
        return _first_matches(params, names, "frozen or .groups", TRAINED)

    def _algorithm(self, axes: Any) -> optax.GradientTransformation:
        match self.algorithm:
            case "adamw":
                return optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)
            case "lion":
                return optax.scale_by_lion(self.beta1, self.beta2)
            case "adafactor":
                return optax.chain(optax.scale_by_factored_rms(), optax.clip_by_block_rms(1.0))
            case "muon":
                adam = optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)
                return scale_by_muon(axes, others=adam)
            case _:
                raise UserError(
                    f"config.optimizer.algorithm {self.algorithm!r} is unknown: "
                    f"{nearest(self.algorithm, ALGORITHMS)}"
                )


def _by_path(params: Any, patterns: tuple[str, ...], key: str, value: Callable[[bool], Any]) -> Any:
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        _must_match(pattern, paths, key)
    return jax.tree_util.tree_map_with_path(
        lambda path, _: value(any(re.search(p, path_of(path)) for p in patterns)), params
    )


def _first_matches(params: Any, values: Mapping[str, Any], key: str, default: Any) -> Any:
    """For each parameter the value of the first regular expression that matches its path."""
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in values:
        _must_match(pattern, paths, key)

    def value(path: tuple, _: Any) -> Any:
        matches = (v for pattern, v in values.items() if re.search(pattern, path_of(path)))
        return next(matches, default)

    return jax.tree_util.tree_map_with_path(value, params)


def _numbers(params: Any, values: Mapping[str, Any], key: str, default: int | float) -> Any:
    """For each parameter a number, or an array of one for each of a stack's layers, [L, 1, ...]."""

    def placed(path: tuple, leaf: Any, value: np.ndarray) -> Any:
        if value.ndim == 0:
            return value.item()
        if LAYERS not in path_of(path) or len(value) != leaf.shape[0]:
            raise UserError(
                f"config.optimizer.{key}: {value.tolist()} are of {len(value)} layers, and "
                f"{path_of(path)} is of shape {leaf.shape}: give one number, or as many as its "
                f"stack has layers"
            )
        return over_layers(value, leaf)

    arrays = {pattern: np.asarray(value) for pattern, value in values.items()}
    found = _first_matches(params, arrays, key, np.asarray(default))
    return jax.tree_util.tree_map_with_path(placed, params, found)


def _must_match(pattern: str, paths: list[str], key: str) -> None:
    try:
        matched = any(re.search(pattern, path) for path in paths)
    except re.error as error:
        raise UserError(
            f"config.optimizer.{key}: {pattern!r} is not a regular expression: {error}"
        ) from error
    if not matched:
        raise UserError(
            f"config.optimizer.{key}: {pattern!r} matches no parameter; they are {', '.join(paths)}"
        )


def _multiply(factors: Any) -> optax.GradientTransformation:
    def update(updates: Any, params: Any) -> Any:
        del params
        return jax.tree.map(
            lambda update, factor: update if is_masked(update) else update * factor,
            updates,
            factors,
            is_leaf=is_masked,
        )

    return optax.stateless(update)
