"""Write down what is said in recordings of any format.

python -m launch.transcribe --workdir=runs/fsdd a.wav b.flac c.mp3
python -m launch.transcribe --workdir=runs/multitask --task=transcript,roles --json a.wav
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from launch.huge_pages import use_huge_pages
from launch.main import run

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the recogniser was trained.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "'best', 'last' or a step.")
_DECODING = flags.DEFINE_string(
    "decoding", None, "Another search, NAME[:KEY=VALUE,...]: attention_beam:beam_size=8"
)
_TASK = flags.DEFINE_list("task", [], "Of a model of several: which of them; all if not given.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object a line.")
_WEIGHTS = flags.DEFINE_string(
    "weights", "float32", "What the parameters are kept in: float32 or int8."
)


def main(arguments: Sequence[str]) -> None:
    from jasr.experiment.evaluate import transcribe_files

    said = transcribe_files(
        _WORKDIR.value,
        arguments[1:],
        checkpoint=_CHECKPOINT.value,
        decoding=_DECODING.value,
        tasks=_TASK.value,
        weights=_WEIGHTS.value,
    )
    for one in said:
        print(json.dumps(one, ensure_ascii=False) if _JSON.value else _readable(one))


def _readable(one: Mapping[str, Any]) -> str:
    """The path and the text; or the path, and under it a line for each task."""
    if set(one) == {"path", "text"}:
        return f"{one['path']}\t{one['text']}"
    width = max(map(len, one))
    lines = [
        f"  {name:{width}}  {_shown(answer)}" for name, answer in one.items() if name != "path"
    ]
    return "\n".join([one["path"], *lines])


def _shown(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return "  ".join(
            _shown(one) if isinstance(one, Mapping) else f"[{name} {one}]"
            for name, one in answer.items()
        )
    return "(malformed)" if answer is None else str(answer)


if __name__ == "__main__":
    use_huge_pages()
    run(main)
