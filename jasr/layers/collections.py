"""Variables that a model reads and never changes, wherever in it a module stands."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn


def read_collection(module: nn.Module, name: str) -> Mapping[str, Any]:
    """The whole collection that the model was given under a name; empty where it was not.

    "progress" holds the training's `step`, "average" averaged parameters, "clusters" centroids,
    "teacher" the parameters of teachers.
    """
    assert module.scope is not None, "read inside a module's call"
    found: Mapping[str, Any] = module.scope.root.variables().get(name, {})
    return found
