"""Learning rates that fall from the top of a stack of layers to its bottom."""

from typing import Any

import jax
import numpy as np

from jasr.types import path_of

LAYERS = "/layers/"
# What the encoder's layers read instead of its stem's frames.
MASK = "mask_embedding/"
# What stands above the layers of a stack, with the heads.
ABOVE = ("final_norm",)


def layer_factors(params: Any, decay: float) -> Any:
    """A factor for each parameter: `decay` to the power of how far below the heads it stands.

    Of L layers, the last stands 1 below, the first L, and what comes before them (stem, positions,
    embeddings) L + 1; heads and all that belongs to no stack stand at 0. A stacked parameter has a
    factor for each layer, of shape [L, 1, ...]. Low-rank changes stand where what they change does.
    Clark et al. 2020, "ELECTRA", appendix A.
    """
    paths = {_place(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    depths = {
        path.partition(LAYERS)[0]: leaf.shape[0] for path, leaf in paths.items() if LAYERS in path
    }

    def factor(path: tuple[Any, ...], leaf: Any) -> Any:
        stack, is_layer, _ = _place(path).partition(LAYERS)
        if is_layer:
            powers = np.arange(depths[stack], 0, -1.0)
            return over_layers((decay**powers).astype(np.float32), leaf)
        if stack.startswith(MASK):
            stack = f"encoder/{stack}"
        for root, depth in depths.items():
            inside = stack.removeprefix(f"{root}/")
            if inside != stack and not inside.startswith(ABOVE):
                return decay ** (depth + 1)
        return 1.0

    return jax.tree_util.tree_map_with_path(factor, params)


def over_layers(numbers: np.ndarray, leaf: Any) -> np.ndarray:
    """A number for each layer, shaped to be multiplied by a stacked parameter: [L, 1, ...]."""
    return numbers.reshape(-1, *(1,) * (len(leaf.shape) - 1))


def _place(path: tuple[Any, ...]) -> str:
    """A low-rank change is named after the path of what it changes, with dots."""
    return path_of(path).replace(".", "/")
