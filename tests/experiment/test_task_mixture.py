"""Tasks mixed in the shares that a config states."""

import json
import pickle

import numpy as np
import pytest

from jasr.corpora.catalogue import prepare_corpus
from jasr.errors import UserError
from jasr.experiment.preparing import prepare_corpora
from jasr.experiment.tasks import build_tasks, open_mixture, open_split, place_of

CORPUS = {"kind": "spoken_text", "name": "orders", "sample_rate": 16_000}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Eight lines, two of which have a size and all of which have a drink."""
    folder = tmp_path_factory.mktemp("mixture")
    rows = [{"id": f"o{n}", "text": "a tea please", "drink": "tea"} for n in range(8)]
    for row in rows[:2]:
        row["size"] = "small"
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare_corpus(CORPUS, folder, folder / "data")
    return str(folder / "data")


def config(*shares, temperature=1.0):
    tasks = {name: {"name": "classes", "column": name} for name in ("drink", "size")}
    for task, share in zip(tasks.values(), shares, strict=False):
        task["share"] = share
    return {
        "corpus": CORPUS,
        "splits": {"train": "train", "validation": "validation"},
        "tasks": tasks,
        "text": {"normalizer": "basic-v1"},
        "mixing_temperature": temperature,
    }


def of_an_epoch(corpus, indices=None):
    """How often an epoch goes over each of the utterances, and which of them are asked drinks."""
    indices = np.arange(len(corpus)) if indices is None else np.array(indices)
    asked = np.array([corpus.utterances[index].task == "drink" for index in indices])
    return corpus.passes_of(indices), asked


@pytest.mark.parametrize(
    ("given", "drinks"),
    [
        (config(0.5, 0.5), 0.5),
        (config(0.1, 0.9), 0.1),
        (config(3.0, 1.0), 0.75),
        (config(), 0.8),
        (config(temperature=float("inf")), 0.5),
        (config(temperature=2.0), 2 / 3),
    ],
)
def test_an_epoch_has_of_each_task_what_its_share_says(given, drinks, data_dir):
    passes, of_drinks = of_an_epoch(open_mixture(given, "train", data_dir))
    assert passes[of_drinks].sum() / passes.sum() == pytest.approx(drinks, abs=0.01)
    assert (passes * 8 % 1 == 0).all()


def test_rows_that_cannot_be_used_take_no_share(data_dir):
    corpus = pickle.loads(pickle.dumps(open_mixture(config(0.5, 0.5), "train", data_dir)))
    half_of_drinks = [0, 1, 2, 3, 8, 9]
    passes, of_drinks = of_an_epoch(corpus, half_of_drinks)
    assert passes[of_drinks].sum() / passes.sum() == pytest.approx(0.5, abs=0.01)
    with pytest.raises(UserError, match=r"config\.tasks\.size: none of its rows can be used"):
        of_an_epoch(corpus, [0, 1])


@pytest.mark.parametrize(("times", "sizes"), [(3.0, 0.5), (0.125, 0.5), (0.125, 0.01)])
def test_a_corpus_that_is_gone_over_otherwise_has_no_more_than_its_share(times, sizes, data_dir):
    mixture = {
        "kind": "mixture",
        "name": "both",
        "sample_rate": 16_000,
        "parts": {"orders": {"kind": "spoken_text", "passes": times}},
    }
    given = config(1 - sizes, sizes)
    given["tasks"]["size"]["corpus"] = mixture
    passes, of_drinks = of_an_epoch(open_mixture(given, "train", data_dir))
    assert passes[~of_drinks].sum() / passes.sum() == pytest.approx(sizes, rel=0.1)
    assert (passes * 8 % 1 == 0).all()


def test_a_share_that_eighths_cannot_give_is_refused(data_dir):
    given = config(0.001, 0.999)
    with pytest.raises(UserError, match=r"config\.tasks\.drink: a share of 0\.0010"):
        of_an_epoch(open_mixture(given, "train", data_dir))
    assert of_an_epoch(open_split(given, "train", data_dir))[0] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config(0.5), r"tasks\.size\.share is None: expected a number above 0 for every"),
        (config(0, 0), r"tasks\.drink\.share is 0"),
        (config(0.5, -1), r"tasks\.size\.share is -1"),
        (config(0.5, float("inf")), r"tasks\.size\.share is inf"),
        (config(0.5, "much"), r"tasks\.size\.share is 'much'"),
        (config(temperature=0.0), r"config\.mixing_temperature is 0"),
        (config(temperature=-1.0), r"config\.mixing_temperature is -1"),
    ],
)
def test_what_is_no_share_is_refused(given, message, data_dir):
    with pytest.raises(UserError, match=message):
        open_mixture(given, "train", data_dir)


def test_a_task_of_which_nothing_is_known_is_refused_with_what_is(data_dir):
    given = config()
    given["tasks"]["size"]["column"] = "sizes"
    with pytest.raises(UserError, match=r"tasks\.size: no utterance.*has the columns drink, size"):
        open_mixture(given, "train", data_dir)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("classes", r"tasks\.size is 'classes': expected a section with a name"),
        ({"decoding": "ctc_greedy"}, r"size\.decoding is 'ctc_greedy': expected a section"),
        ({"splits": "train[5%:]"}, r"size\.splits is 'train\[5%:\]': expected a section"),
        (
            {"splits": {"validaton": "dev"}},
            r"size\.splits\.validaton is no split: did you mean validation",
        ),
        ({"corpus": "an4"}, r"size\.corpus is 'an4': expected a section"),
        ({"names": "order"}, r"size\.names is 'order', but it must be a tuple of str"),
        ({"names": (1, 2)}, r"size\.names is \(1, 2\), but it must be a tuple of str"),
        ({"names": ("a", "a")}, r"size\.names says 'a' twice"),
        ({"among": -1}, "among is -1: expected 0 or more"),
        ({"name": "text", "normalizer": "basic"}, "normaliser 'basic' is unknown"),
        ({"name": "role_tags", "names": ("B-V", "I-V")}, "names begin with .*: expected O"),
        ({"name": "role_tags", "names": ("O", "B-V")}, "names lack 'I-V'"),
        ({"name": "role_tags", "names": ("O", "V")}, "names say 'V': expected B-ROLE or I-ROLE"),
        ({"name": "role_tags", "normalizer": "verbatim-v1"}, "tags the words of the transcript"),
    ],
)
def test_a_task_that_is_said_wrong_is_refused(section, message):
    given = config()
    same = {"name": "classes", "column": "size"} if "name" not in section else {}
    given["tasks"]["size"] = section if isinstance(section, str) else same | section
    with pytest.raises(UserError, match=message):
        build_tasks(given, {})


@pytest.mark.parametrize("name", ["task", "ctc", "path"])
def test_a_name_that_is_taken_is_refused(name):
    given = config()
    given["tasks"][name] = {"name": "classes", "column": "drink"}
    with pytest.raises(UserError, match=f"config.tasks.{name}: the name is taken"):
        build_tasks(given, {})


def test_a_task_s_own_split_has_either_name():
    given = config()
    given["tasks"]["size"]["splits"] = {"validation": "train[90%:]"}
    build_tasks(given, {})
    assert place_of(given, "size", "dev")[1] == "train[90%:]"
    assert place_of(given, "size", "validation")[1] == "train[90%:]"
    assert place_of(given, "size", "test")[1] == "test"
    given["splits"]["train"] = "train[:95%]"
    given["tasks"]["size"]["splits"]["train"] = "train[:50%]"
    assert place_of(given, "size", "train[:95%]")[1] == "train[:50%]"
    assert place_of(given, "drink", "train[:95%]")[1] == "train[:95%]"


def test_every_task_s_corpus_is_prepared_from_a_folder_of_its_own(tmp_path):
    given = config()
    given["tasks"]["size"]["corpus"] = {"name": "sizes"}
    for name, row in {"orders": {"drink": "tea"}, "sizes": {"size": "small"}}.items():
        (tmp_path / name).mkdir()
        line = json.dumps({"id": name, "text": "a small tea", **row}) + "\n"
        (tmp_path / name / "texts.jsonl").write_text(line)
    prepared = list(prepare_corpora(given, str(tmp_path), str(tmp_path / "data")))
    assert len(prepared) == 2
    corpus = open_mixture(given, "train", str(tmp_path / "data"))
    assert [(u.id, u.task) for u in corpus.utterances] == [("orders", "drink"), ("sizes", "size")]
    again = prepare_corpora(given, str(tmp_path), str(tmp_path / "data"))
    assert all("already prepared" in one.summary() for one in again)
