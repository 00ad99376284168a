"""Checkpoints: the last and the best, written in the background by Orbax.

WORKDIR/checkpoints/STEP/state            the TrainState
                         checksums        of each of its arrays
                         meta             config, tokenizer, bucket table ...: all that
                                          evaluation or a resumed run needs beside the state
                         evaluation.json  its validation figures, once they are known
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
import tensorstore as ts
from absl import logging
from flax.traverse_util import unflatten_dict
from orbax.checkpoint import checkpoint_managers

from jasr.errors import UserError
from jasr.training.checkpoint_failures import named_damage, named_failures
from jasr.training.checksum import checksums
from jasr.training.evaluations import Evaluations
from jasr.training.state import TrainState
from jasr.types import path_of

# The name of the figure that says which checkpoint is best, whichever it is.
DECIDING = "deciding"


def has_finished(workdir: Path) -> bool:
    """Whether the workdir holds a finished checkpoint, by the folders' names alone."""
    return any(folder.name.isdigit() for folder in (workdir / "checkpoints").glob("*"))


def open_checkpoints(workdir: str | Path, given_as: str = "--workdir") -> "Checkpoints":
    """Those of a training that is there to be read; UserError where none is."""
    if not (Path(workdir) / "checkpoints").is_dir():
        raise UserError(
            f"{given_as}={workdir} holds no checkpoints: train there first with launch.train"
        )
    return Checkpoints(Path(workdir), read_only=True, given_as=given_as)


class Checkpoints:
    """The checkpoints of one workdir.

    keep:      how many of the latest to keep; the best by `metric` (lowest) is kept besides.
    read_only: nothing in the folder is touched, so that a training may go on saving there.
    given_as:  the flag or the key of a config that names the workdir.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        keep: int = 2,
        metric: str = "wer",
        read_only: bool = False,
        given_as: str = "--workdir",
    ):
        self._folder = Path(workdir).resolve() / "checkpoints"
        self._metric, self.given_as = metric, given_as
        self._evaluations = Evaluations(self._folder)
        policy = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(keep),
                checkpoint_managers.BestN(
                    get_metric_fn=self._goodness, n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        with named_failures(self._folder), _without_warning("directory is read only"):
            self._manager = ocp.CheckpointManager(
                self._folder,
                # Named here, so that a manager that has saved nothing yet can read.
                item_handlers={
                    "state": ocp.StandardCheckpointHandler(),
                    "checksums": ocp.JsonCheckpointHandler(),
                    "meta": ocp.JsonCheckpointHandler(),
                },
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=policy,
                    best_fn=self._goodness,
                    cleanup_tmp_directories=not read_only,
                    create=not read_only,
                    save_interval_steps=0 if read_only else 1,
                    read_only=read_only,
                ),
            )

    def _goodness(self, saved: Mapping[str, Any] | None) -> float:
        """Of a checkpoint, by what lies in it for Orbax: its step, or its figures as of old."""
        figures = saved or {}
        if "step" in figures:
            figures = self._evaluations.of(figures["step"]) or {}
        deciding = figures.get(DECIDING)
        # A step that was not evaluated, or to no number, is worse than any that was.
        return -math.inf if deciding is None else -deciding

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def latest_step(self) -> int | None:
        """The last finished checkpoint's step; None if there is none."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """Steps of all finished checkpoints, ascending."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """The step with the lowest metric among those kept; None if none was evaluated."""
        best = self._manager.best_step()
        if best is None or math.isinf(self._goodness(self._manager.metrics(best))):
            return None
        return best

    def is_evaluated(self, step: int) -> bool:
        """Whether the figures of a saved step are known."""
        return (
            self._evaluations.of(step) is not None
            or self._goodness(self._manager.metrics(step)) > -math.inf
        )

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """Keeps the validation figures of a step, once its save has finished.

        Raises UserError if that failed, or where the disk refuses.
        """
        self.wait()
        self._evaluations.note(step, {**figures, DECIDING: figures[self._metric]})

    def save(self, state: TrainState, meta: dict[str, Any]) -> None:
        """Starts saving the state under its step; returns as soon as it has been copied.

        Raises UserError if an earlier save failed, on a full disk say.
        """
        step = int(state.step)
        self._evaluations.forget(step)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            checksums=ocp.args.JsonSave(checksums(state)),
            meta=ocp.args.JsonSave(meta),
        )
        with named_failures(self._folder):
            self._manager.save(step, args=items, metrics={"step": step})

    def read_meta(self, step: int) -> dict[str, Any]:
        """What was saved beside the state; raises UserError if it cannot be read."""
        args = ocp.args.Composite(meta=ocp.args.JsonRestore())
        with named_damage(self._folder, step):
            return self._manager.restore(step, args=args)["meta"]

    def restore(self, step: int, abstract: TrainState) -> TrainState:
        """The state of a step, placed as `abstract` says.

        Raises UserError if the checkpoint is damaged or holds other parameters.
        """
        self._must_agree(step, abstract)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        with named_damage(self._folder, step):
            state = self._manager.restore(step, args=args)["state"]
            self._must_be_as_saved(step, state)
        return state

    def find(self, wanted: str) -> int:
        """The step that "best", "last" or a number means; UserError where there is none."""
        found = self.steps()
        if not found:
            raise UserError(
                f"{self.given_as}={self._folder.parent} holds no finished checkpoint: let "
                f"launch.train reach config.train.checkpoint_every steps"
            )
        if wanted == "last":
            return found[-1]
        if wanted == "best":
            return self.best_step() or found[-1]
        if wanted.isdigit() and int(wanted) in found:
            return int(wanted)
        raise UserError(
            f"{self.given_as.replace('workdir', 'checkpoint')}={wanted}: "
            f"{self._folder.parent} holds the steps "
            f"{', '.join(map(str, found))}; give one of them, 'best' or 'last'"
        )

    def params_shapes(self, step: int) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, by path; raises UserError if the checkpoint is damaged."""
        return {path: tuple(leaf.shape) for path, leaf in self._saved_params(step).items()}

    def restore_params(self, step: int, shardings: Any) -> Any:
        """The parameters alone; shardings: a tree of those that are wanted, or one for all.

        Raises UserError if the checkpoint is damaged or lacks one of them.
        """
        wanted = (
            _by_path(shardings)
            if isinstance(shardings, Mapping)
            else dict.fromkeys(self._saved_params(step), shardings)
        )
        return _as_tree(self.restore_some_params(step, wanted))

    def restore_some_params(self, step: int, shardings: Mapping[str, Any]) -> dict[str, jax.Array]:
        """Some of the parameters; shardings: of each of them, by path.

        Raises UserError if the checkpoint is damaged or lacks one of them.
        """
        if not shardings:
            return {}
        saved = self._saved_params(step)
        absent = [path for path in shardings if path not in saved]
        if absent:
            raise UserError(
                f"checkpoint {self._folder / str(step)} holds another model: it has no "
                f"{', '.join(absent[:8])}"
            )
        wanted = _as_tree(
            {
                path: jax.ShapeDtypeStruct(saved[path].shape, saved[path].dtype, sharding=sharding)
                for path, sharding in shardings.items()
            }
        )
        with named_damage(self._folder, step):
            with ocp.PyTreeCheckpointer() as checkpointer:
                restored = checkpointer.restore(
                    self._folder / str(step) / "state",
                    args=ocp.args.PyTreeRestore(
                        item={"params": wanted},
                        restore_args=ocp.checkpoint_utils.construct_restore_args(
                            {"params": wanted}
                        ),
                        partial_restore=True,
                    ),
                )
            self._must_be_as_saved(step, restored)
        return _by_path(restored["params"])

    def _saved_params(self, step: int) -> dict[str, Any]:
        with named_damage(self._folder, step):
            _list_arrays(self._folder / str(step) / "state")
            saved = self._manager.item_metadata(step)["state"].tree["params"]
        return _by_path(saved)

    def fingerprint(self, step: int, part: str = "") -> str:
        """Of the parameters as they were saved, or of a part of them, "encoder" say."""
        with named_damage(self._folder, step):
            saved = self._saved_checksums(step)
        place = f"params/{part}/" if part else "params/"
        chosen = {path: one for path, one in saved.items() if path.startswith(place)}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]

    def _saved_checksums(self, step: int) -> dict[str, int]:
        args = ocp.args.Composite(checksums=ocp.args.JsonRestore())
        return self._manager.restore(step, args=args)["checksums"]

    def _must_be_as_saved(self, step: int, restored: Any) -> None:
        saved = self._saved_checksums(step)
        changed = [path for path, found in checksums(restored).items() if saved[path] != found]
        if changed:
            raise ValueError(f"{changed[0]} is not what was saved")

    def _must_agree(self, step: int, abstract: TrainState) -> None:
        with named_damage(self._folder, step):
            _list_arrays(self._folder / str(step) / "state")
            saved = self._manager.item_metadata(step)["state"]
        saved, wanted = _shapes(saved.tree), _shapes(abstract)
        differing = [
            f"{name}: {saved.get(name, 'absent')} in the checkpoint, "
            f"{wanted.get(name, 'absent')} in the model"
            for name in sorted(saved.keys() | wanted.keys())
            if saved.get(name) != wanted.get(name)
        ]
        if differing:
            raise UserError(
                f"checkpoint {self._folder / str(step)} holds another model: "
                f"{'; '.join(differing[:8])}{' ...' if len(differing) > 8 else ''}"
            )

    def set_aside(self, step: int) -> Path:
        """Renames a step's folder, so that it is no checkpoint any more; where it lies now.

        Of several processes each may do it that finds the damage, and no other need.
        """
        aside = self._folder / f"damaged-{step}"
        while aside.exists():
            aside = aside.with_name(f"{aside.name}-again")
        with contextlib.suppress(FileNotFoundError):
            (self._folder / str(step)).rename(aside)
        self._manager.reload()
        return aside

    def wait(self) -> None:
        """Blocks until every save has finished; raises UserError if one failed."""
        with named_failures(self._folder):
            self._manager.wait_until_finished()

    def close(self) -> None:
        self.wait()
        self._manager.close()


@contextlib.contextmanager
def _without_warning(text: str) -> Iterator[None]:
    """Orbax warns of what it was asked for."""
    logger = logging.get_absl_logger()

    def is_news(record: Any) -> bool:
        return text not in record.getMessage()

    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)


def _by_path(tree: Any) -> dict[str, Any]:
    return {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _as_tree(by_path: Mapping[str, Any]) -> Any:
    return unflatten_dict(dict(by_path), sep="/")


def _list_arrays(folder: Path) -> None:
    """Reads the index of a state's arrays, which fails if it is damaged.

    Orbax reads all arrays at once; at the first failure, the others would print traces as they
    fail behind it.
    """
    index = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()
    if not index.list().result():
        raise ValueError("it holds no arrays")


def _shapes(tree: Any) -> dict[str, str]:
    return {
        path_of(path): str(tuple(leaf.shape))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
