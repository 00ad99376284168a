"""Teachers as a training finds them: whose parameters, where they lie, in what precision."""

import json
import os
import subprocess
import sys

from launch.cpu_devices import cpu_devices

TWO_DEVICES = """
import json, sys
import jax, numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict
from configs import distil
from jasr.experiment.model import build_model
from jasr.experiment.recognition import Recognition
from jasr.experiment.teachers import taught
from jasr.experiment.trained import write_workdir
from jasr.experiment.workdir import Meta
from jasr.sharding.placement import Placement
from jasr.text.tokenizer import train_tokenizer

tokenizer = train_tokenizer("character", ["a text"], vocab_size=0)


def meta_of(config):
    return Meta(config.to_dict(), tokenizer, None, plan="", corpus="", rows=1, data_dir=None)


teacher = meta_of(distil.get_config("scratch,smoke"))
here = Placement.from_config(teacher.config["mesh"])
shapes = nn.unbox(Recognition.build(teacher, here).boxed_params())
for name, value in zip(("one", "two"), (0.25, 0.5)):
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, value, np.float32), shapes)
    write_workdir(f"{sys.argv[1]}/{name}", teacher, params, 3)

config = distil.get_config("logits,smoke")
config.mesh.update({"preset": "data_parallel", "data": 1, "fsdp": 2})
config.teacher.update(json.loads(sys.argv[2]))
config.teacher.workdir = f"{sys.argv[1]}/one,{sys.argv[1]}/two"
meta, placement = meta_of(config), Placement.from_config(config.mesh.to_dict())
student = build_model(meta.config["model"], tokenizer, None)
model, found, meta = taught(student, meta, placement, None)
loaded = {name: flatten_dict(one.load(), sep="/") for name, one in found.items()}
print(json.dumps({
    "weights": model.weights,
    "steps": [pin.step for pin in meta.teachers],
    "fingerprints": [pin.fingerprint for pin in meta.teachers],
    "dtypes": sorted({leaf.dtype.name for leaf in loaded["0"].values()}),
    "values": [float(next(iter(one.values())).ravel()[0]) for one in loaded.values()],
    "split": sum(not leaf.sharding.is_fully_replicated for leaf in loaded["0"].values()),
}))
"""


def found_by(folder, **said):
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(folder), json.dumps(said)],
        env=os.environ | cpu_devices(2),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_teachers_lie_as_they_are_told_to(tmp_path):
    """Split and in few bytes beside a student that is neither; weighed, and known again."""
    found = found_by(tmp_path, weights=[3.0, 1.0], dtype="bfloat16", preset="fsdp")
    assert found["weights"] == [3.0, 1.0]
    assert found["steps"] == [3, 3]
    assert len({*found["fingerprints"]}) == 2
    assert found["dtypes"] == ["bfloat16"]
    assert found["values"] == [0.25, 0.5]
    assert found["split"] > 5


def test_teachers_lie_as_the_student_does(tmp_path):
    found = found_by(tmp_path)
    assert found["weights"] == [1.0, 1.0]
    assert found["dtypes"] == ["float32"]
    assert found["split"] == 0
