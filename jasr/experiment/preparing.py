"""Every corpus that a config names, prepared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jasr.corpora.catalogue import prepare_parts
from jasr.corpora.preparation import Preparation
from jasr.experiment.tasks import place_of


def prepare_corpora(
    config: Mapping[str, Any], source: str | None, data_dir: str | None
) -> Iterator[Preparation]:
    """Prepares config.corpus, or those of config.tasks, unless they are there; a config that only
    prepares may hold nothing but its corpus.

    source: of the one corpus that there is; of several, a folder with a folder for each, of its
            name.
    """
    sections = [place_of(config, name, "train")[0] for name in config.get("tasks", ())]
    distinct = {repr(section): section for section in sections or [config["corpus"]]}
    for section in distinct.values():
        own = source
        if source is not None and len(distinct) > 1:
            own = str(Path(source) / section["name"])
        yield from prepare_parts(section, own, data_dir)
