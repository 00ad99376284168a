"""config.clusters: what frames are clustered by, and the clusters themselves, found beforehand.

a sample of the training audio ──▶ descriptions of frames ──▶ k-means ──▶ DATA_DIR/.../NAME.npz
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from jasr.corpora.catalogue import open_corpus, prepared_root
from jasr.corpora.corpus import Corpus
from jasr.errors import UserError, nearest
from jasr.experiment.construct import construct
from jasr.experiment.data import statistics_of, train_plan
from jasr.experiment.model import build_encoder, build_log_mel
from jasr.experiment.teacher_config import TeacherConfig
from jasr.experiment.workdir import Meta
from jasr.files import write_whole
from jasr.layers.subsampling import stem_stride
from jasr.models.pretraining.clusters import Cepstra, Clusters, Description, TeacherLayer
from jasr.pipeline.loader import load_batches
from jasr.tasks.targets import NoTargets
from jasr.training.checkpoint import open_checkpoints

DESCRIPTIONS = ("cepstra", "layer")
ARRAYS = ("mean", "std", "centroids")


class Kept(NamedTuple):
    """Clusters that were found.

    variables:   that hold them.
    step:        of the training whose layer they are of, if they are.
    fingerprint: their own; corpus: that of the recordings that they were found in.
    """

    variables: dict[str, Any]
    step: int | None
    fingerprint: str
    corpus: str


@dataclasses.dataclass(frozen=True)
class ClusterConfig:
    """What config.clusters says.

    by:          "cepstra", or "layer" of another training's encoder.
    workdir, checkpoint, layer: of that training, the first teacher if it is not given; layers are
                 counted from 1.
    split: of the corpus, whose audio k-means sees; that which is trained on if empty.
    num_codebooks: each of what those before it leave over.
    sample_frames: how many frames, drawn from that audio.
    """

    num_clusters: int
    num_codebooks: int = 1
    by: str = "cepstra"
    workdir: str = ""
    checkpoint: str = "last"
    layer: int = 0
    split: str = ""
    sample_frames: int = 200_000
    seed: int = 0

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> "ClusterConfig":
        parsed = construct(cls, config["clusters"], "config.clusters")
        teacher = construct(TeacherConfig, config["teacher"], "config.teacher")
        if parsed.by == "layer" and not parsed.workdir and teacher.workdirs:
            parsed = dataclasses.replace(
                parsed, workdir=teacher.workdirs[0], checkpoint=teacher.checkpoint
            )
        if parsed.by not in DESCRIPTIONS:
            raise UserError(
                f"config.clusters.by {parsed.by!r} is unknown: {nearest(parsed.by, DESCRIPTIONS)}"
            )
        if parsed.by == "layer" and not parsed.workdir:
            raise UserError(
                "config.clusters.by is 'layer': give config.clusters.workdir, or a teacher"
            )
        return parsed


def describe(
    config: Mapping[str, Any],
    statistics: Mapping[str, list[float]] | None,
    step: int | None = None,
) -> tuple[Clusters, dict[str, Any]]:
    """The clusters of a config, and the variables that describing frames needs.

    statistics: of the front end, where it normalises by them.
    step:       of the training whose layer it is; that of config.clusters.checkpoint if not given.
    """
    chosen = ClusterConfig.parse(config)
    if chosen.by == "cepstra":
        log_mel = build_log_mel(config["model"]["log_mel"], statistics)
        stride = stem_stride(config["model"]["encoder"]["stem"])
        description: Description = Cepstra(log_mel, stride)
        return Clusters(description, chosen.num_clusters, chosen.num_codebooks), {}
    with contextlib.closing(
        open_checkpoints(chosen.workdir, "config.clusters.workdir")
    ) as checkpoints:
        step = checkpoints.find(str(step or chosen.checkpoint))
        meta = Meta.from_dict(checkpoints.read_meta(step))
        if meta.config["lora"] or not {"log_mel", "encoder"} <= meta.config["model"].keys():
            raise UserError(
                f"{checkpoints.given_as}={chosen.workdir} holds no encoder with layers of its own: "
                f"give a training that hears speech; of one with low-rank changes, what "
                f"launch.merge makes of it"
            )
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        params = checkpoints.restore_params(step, here)["encoder"]
    encoder = build_encoder(meta.config["model"])
    if not 1 <= chosen.layer <= encoder.num_layers:
        raise UserError(
            f"config.clusters.layer is {chosen.layer}: {chosen.workdir} has layers 1 to "
            f"{encoder.num_layers}"
        )
    log_mel = build_log_mel(meta.config["model"]["log_mel"], meta.statistics)
    description = TeacherLayer(log_mel, encoder, chosen.layer)
    clusters = Clusters(description, chosen.num_clusters, chosen.num_codebooks)
    return clusters, {"teacher": jax.device_get(params)}


def prepare_clusters(config: Mapping[str, Any], data_dir: str | None) -> str:
    """Finds the clusters of a config's training audio, unless they are there; says what it did."""
    path = _path(config, data_dir)
    chosen = ClusterConfig.parse(config)
    corpus = open_corpus(config["corpus"], _split(config), data_dir)
    if path.exists() and _is_current(config, path, corpus):
        return f"already prepared: {path}"
    statistics = statistics_of(config["model"]["log_mel"], corpus)
    step, encoder = _layer_of(chosen, chosen.checkpoint)
    clusters, variables = describe(config, statistics, step)
    frames = _sample(config, corpus, clusters.describe, variables, chosen)
    # One scale for all: features that vary most are to count most.
    mean = frames.mean(axis=0)
    std = np.sqrt(np.mean((frames - mean) ** 2)) + 1e-6
    centroids = _find_centroids((frames - mean) / std, chosen)
    buffer = io.BytesIO()
    found = {"mean": mean, "std": std, "centroids": centroids}
    np.savez(buffer, **found, step=step or 0, encoder=encoder, corpus=corpus.fingerprint)
    write_whole(path, buffer.getvalue())
    books = f"{chosen.num_codebooks} times " if chosen.num_codebooks > 1 else ""
    return f"prepared {path}: {books}{chosen.num_clusters} clusters of {len(frames):,} frames"


def _layer_of(chosen: ClusterConfig, checkpoint: str) -> tuple[int | None, str]:
    """Of the training whose layer frames are described by, the step and the encoder's fingerprint:
    it may go on, or give way to another, and they are of this."""
    if chosen.by != "layer":
        return None, ""
    with contextlib.closing(
        open_checkpoints(chosen.workdir, "config.clusters.workdir")
    ) as checkpoints:
        step = checkpoints.find(checkpoint)
        return step, checkpoints.fingerprint(step, "encoder")


def _is_current(config: Mapping[str, Any], path: Path, corpus: Corpus) -> bool:
    try:
        return _read(config, path).corpus == corpus.fingerprint
    except UserError:
        return False


def _find_centroids(
    left: Float[np.ndarray, "frames features"], chosen: ClusterConfig
) -> Float[np.ndarray, "codebooks clusters features"]:
    """By k-means, of what is left over each time."""
    # It takes a second to import, which only this needs.
    from sklearn.cluster import MiniBatchKMeans

    codebooks = []
    for number in tqdm(range(chosen.num_codebooks), desc="codebooks"):
        found = MiniBatchKMeans(
            chosen.num_clusters, batch_size=4096, n_init=3, random_state=chosen.seed + number
        ).fit(left)
        codebooks.append(found.cluster_centers_.astype(np.float32))
        left = left - codebooks[-1][found.predict(left)]
    return np.stack(codebooks)


def load_clusters(config: Mapping[str, Any], data_dir: str | None) -> Kept:
    """The clusters of a config.

    Raises UserError, with the command to run, where they are not prepared, or of another training.
    """
    path = _path(config, data_dir)
    try:
        return _read(config, path)
    except FileNotFoundError:
        raise UserError(
            f"the clusters are not prepared at {path}: run python -m launch.prepare "
            f"--config=CONFIG{f' --data_dir={data_dir}' if data_dir else ''}"
        ) from None


def predicted_clusters(
    meta: Meta, data_dir: str | None
) -> tuple[Clusters | None, Mapping[str, Any], Meta]:
    """The clusters that the model predicts, if it does, what of them is frozen, and the meta that
    says which they are.

    Raises UserError where they are no longer those that the run began with.
    """
    if not meta.config["clusters"]:
        return None, {}, meta
    kept = load_clusters(meta.config, data_dir)
    clusters, variables = describe(meta.config, meta.statistics, kept.step)
    if meta.clusters not in ("", kept.fingerprint):
        raise UserError(
            "the clusters are no longer those that this workdir was trained to predict: prepare "
            "them from what they were, or give another --workdir"
        )
    frozen = {"clusters": {**variables, **kept.variables}}
    return clusters, frozen, dataclasses.replace(meta, clusters=kept.fingerprint)


def _read(config: Mapping[str, Any], path: Path) -> Kept:
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            variables = {name: arrays[name] for name in ARRAYS}
            step, encoder = int(arrays["step"]) or None, str(arrays["encoder"])
            corpus = str(arrays["corpus"])
        if variables["centroids"].ndim != 3:
            raise ValueError("they are not codebooks")
    except FileNotFoundError:
        raise
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} cannot be read ({error}): delete it and run launch.prepare again"
        ) from error
    chosen = ClusterConfig.parse(config)
    if _layer_of(chosen, str(step))[1] != encoder:
        raise UserError(
            f"the clusters at {path} are of another training than step {step} of {chosen.workdir} "
            f"is now: run launch.prepare again"
        )
    return Kept(variables, step, hashlib.sha256(content).hexdigest()[:16], corpus)


def _sample(
    config: Mapping[str, Any],
    corpus: Corpus,
    description: Description,
    variables: Mapping[str, Any],
    chosen: ClusterConfig,
) -> Float[np.ndarray, "frames features"]:
    """Descriptions of frames of as many batches, in the order of a training, as are needed."""
    plan = train_plan(config["data"], corpus, NoTargets(), seed=config["seed"], multiple_of=1)
    run = jax.jit(description)
    batches = load_batches(
        corpus, plan, NoTargets(), start_step=0, stop_step=max(1, round(plan.batches_per_epoch))
    )
    seen: list[np.ndarray] = []
    with tqdm(total=chosen.sample_frames, desc="frames", unit_scale=True) as progress:
        for loaded in batches:
            described = jax.device_get(run(variables, loaded.batch.audio))
            seen.append(described.values[described.mask])
            progress.update(len(seen[-1]))
            if progress.n >= chosen.sample_frames:
                break
    frames = np.concatenate(seen)[: chosen.sample_frames]
    if len(frames) < chosen.num_clusters:
        raise UserError(
            f"config.clusters.num_clusters is {chosen.num_clusters}, and the training audio has "
            f"{len(frames)} frames: ask for fewer clusters"
        )
    return frames


def _split(config: Mapping[str, Any]) -> str:
    return config["clusters"].get("split") or config["splits"]["train"]


def _path(config: Mapping[str, Any], data_dir: str | None) -> Path:
    """Named after all that the clusters depend on."""
    model = config["model"]
    depends = {
        "clusters": dataclasses.asdict(ClusterConfig.parse(config)),
        "corpus": config["corpus"],
        "split": _split(config),
        "log_mel": model["log_mel"],
        "stem": model["encoder"]["stem"],
        "seed": config["seed"],
    }
    text = json.dumps(depends, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return prepared_root(data_dir) / "clusters" / f"{config['corpus']['name']}-{name}.npz"
