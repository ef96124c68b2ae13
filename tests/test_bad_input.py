"""Thirty kinds of bad input, each with its one clear error.

Status 2, no traceback, place, field, fix.
"""

import json

import pytest

from mixling.corpora import folder, sample
from mixling.corpora.files import open_run_dir
from mixling.errors import MixlingError
from mixling.evaluation.result import EvaluationResult
from mixling.training.base_model import on_cpu
from mixling.training.load_config import load_config, migrate_config

CONFIGS = {
    "no sources": ("[data]\n", ["data.sources", "must be given"]),
    "empty sources": ("[data]\nsources = []\n", ["data.sources", "at least 1"]),
    "unknown source": ('[data]\nsources = ["smaple"]\n', ["smaple", "Did you mean 'sample'"]),
    "unknown table": (
        '[data]\nsources = ["sample"]\n[trainning]\nlr = 1\n',
        ["trainning", "is not an option", "training"],
    ),
    "unknown setting": (
        '[data]\nsources = ["sample"]\n[training]\nlearning_rate = 1\n',
        ["training.learning_rate", "is not an option", "lr"],
    ),
    "wrong type": (
        '[data]\nsources = ["sample"]\n[training]\nsteps = "many"\n',
        ["training.steps", "integer", "many"],
    ),
    "negative": (
        '[data]\nsources = ["sample"]\n[training]\nlr = -1.0\n',
        ["training.lr", "greater than 0"],
    ),
    "alpha": (
        '[data]\nsources = ["sample"]\n[batches]\nalpha = 1.5\n',
        ["batches.alpha", "less than or equal to 1"],
    ),
    "strategy": (
        '[data]\nsources = ["sample"]\n[batches]\nstrategy = "y-y"\n',
        ["batches.strategy", "hybrid"],
    ),
    "objective": (
        '[data]\nsources = ["sample"]\n[objective]\nname = "triplet"\n',
        ["objective.name", "info-nce"],
    ),
    "not toml": ("[data\nsources = 3", ["not TOML"]),
    "batch too large": (
        '[data]\nsources = ["sample"]\n[batches]\nsize = 33\n',
        ["batches.size is 33", "32 passage groups", "batches.size"],
    ),
    "single without language": (
        '[data]\nsources = ["sample"]\n[batches]\nstrategy = "single"\n',
        ["batches.language"],
    ),
    "single of another language": (
        '[data]\nsources = ["sample"]\n[batches]\nstrategy = "single"\nlanguage = "fi"\n',
        ["no source has mono pairs in 'fi'"],
    ),
    "language that the source lacks": (
        '[data]\nsources = [{name = "sample", languages = ["fi"]}]\n',
        ["no language 'fi'", "ar, de"],
    ),
    "no language at all": (
        '[data]\nsources = [{name = "sample", languages = ["klingonish"]}]\n',
        ["'klingonish' is not a language"],
    ),
    "unknown split": (
        '[data]\nsources = [{name = "sample", split = "dev"}]\n',
        ["split of sample", "train"],
    ),
    "missing folder": (
        '[data]\nsources = [{name = "mine", path = "nowhere"}]\n',
        ["nowhere", "does not exist"],
    ),
    "hub without columns": (
        '[data]\nsources = [{name = "x", hub = "json", path = "a.jsonl"}]\n',
        ["columns.query is missing"],
    ),
    "cross of one language": (
        '[data]\nsources = [{name = "sample", languages = ["en"]}]\n[batches]\nstrategy = "x-y"\n',
        ["no source has cross pairs"],
    ),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_bad_configuration(kind, run, tmp_path):
    text, expected = CONFIGS[kind]
    (tmp_path / "c.toml").write_text(text)
    status, out, err = run("schedule", tmp_path / "c.toml", "--json")
    assert status == 2 and not out and "Traceback" not in err
    for part in expected:
        assert part in err, err


def broken(own, file, line, change):
    lines = (own / file).read_text().splitlines()
    lines[line] = change(lines[line])
    (own / file).write_text("\n".join(lines) + "\n")


def without(field):
    return lambda line: json.dumps({k: v for k, v in json.loads(line).items() if k != field})


FOLDERS = {
    "broken line": (
        lambda own: broken(own, "queries.jsonl", 2, lambda x: x[:-5]),
        ["queries.jsonl:3", "json"],
    ),
    "not an object": (
        lambda own: broken(own, "corpus.jsonl", 0, lambda x: "[1]"),
        ["corpus.jsonl:1", "object"],
    ),
    "no text": (
        lambda own: broken(own, "corpus.jsonl", 1, without("text")),
        ["corpus.jsonl:2", "'text'", "None"],
    ),
    "no id": (
        lambda own: broken(own, "queries.jsonl", 1, without("_id")),
        ["queries.jsonl:2", "'_id'"],
    ),
    "no language": (
        lambda own: broken(own, "queries.jsonl", 4, without("language")),
        ["queries.jsonl:5", "'language'", "BCP-47"],
    ),
    "id twice": (
        lambda own: broken(
            own, "corpus.jsonl", 1, lambda x: x.replace('"bridges.2-ar"', '"bridges.1-ar"')
        ),
        ["corpus.jsonl:2", "not used before"],
    ),
    "unknown passage": (
        lambda own: broken(own, "qrels/train.tsv", 3, lambda x: x.replace("\t", "\tz", 1)),
        ["train.tsv:4", "corpus-id"],
    ),
    "unknown query": (
        lambda own: broken(own, "qrels/train.tsv", 3, lambda x: "z" + x),
        ["train.tsv:4", "query-id"],
    ),
    "two columns": (
        lambda own: broken(own, "qrels/train.tsv", 2, lambda x: "q1\tp1"),
        ["train.tsv:3", "three columns"],
    ),
    "score": (
        lambda own: broken(own, "qrels/train.tsv", 2, lambda x: x[:-1] + "yes"),
        ["train.tsv:3", "'score'", "number"],
    ),
    "no qrels": (
        lambda own: (own / "qrels" / "train.tsv").unlink(),
        ["qrels/<split>.tsv is missing"],
    ),
    "no corpus": (lambda own: (own / "corpus.jsonl").unlink(), ["corpus.jsonl", "is missing"]),
    "not utf-8": (
        lambda own: (own / "corpus.jsonl").write_bytes(b'{"_id": "a", "text": "\xff"}\n'),
        ["corpus.jsonl:1", "UTF-8"],
    ),
    "not parquet": (
        lambda own: ((own / "corpus.jsonl").unlink(), (own / "corpus.parquet").write_text("no")),
        ["not a Parquet file"],
    ),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_bad_folder(kind, run, tmp_path):
    own = tmp_path / "own"
    folder.write_folder(sample.read_sample("test"), own)
    change, expected = FOLDERS[kind]
    change(own)
    status, out, err = run("data", "show", own)
    assert status == 2 and not out and "Traceback" not in err and len(err.strip().splitlines()) == 1
    for part in expected:
        assert part in err, err


COMMANDS = {
    "no model": (
        ["evaluate", "./nowhere", "--task", "sample"],
        ["./nowhere", "model folder does not exist"],
    ),
    "no name of a model": (
        ["evaluate", "+bm25", "--task", "sample"],
        ["model is empty", "hub name"],
    ),
    "unknown task": (["evaluate", "x", "--task", "xquadr"], ["unknown task", "xquad-r"]),
    "trec without out": (["evaluate", "x", "--task", "sample", "--trec"], ["--out"]),
    "nothing to train": (["train"], ["CONFIG.toml"]),
    "no results": (["compare", "."], ["no summary.json"]),
    "no number in a quota": (["search", "s", "q", "--quota", "en=²"], ["--quota en=²", "en=3"]),
    "no language in a quota": (["search", "s", "q", "--quota", "=3"], ["--quota =3", "en=3"]),
    "no number of a part": (
        ["encode", "m", "t", "--out", "o", "--part", "²/4"],
        ["--part ²/4", "NUMBER/PARTS"],
    ),
    "no language in a pair": (
        [
            "adapt-language",
            "m",
            "--bitext",
            "b",
            "--languages",
            "am",
            "--out",
            "o",
            "--related",
            "=ar",
        ],
        ["--related =ar", "am=ar"],
    ),
    "no study": (["study", "none.toml"], ["none.toml", "does not exist"]),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_bad_command(kind, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, expected = COMMANDS[kind]
    status, _, err = run(*arguments)
    assert status == 2 and "Traceback" not in err
    for part in expected:
        assert part in err, err


def test_a_model_that_cannot_be_had_says_how_to_get_it(run):
    status, _, err = run("evaluate", "someone/no-such-model", "--task", "sample")
    assert status == 2 and "hf download someone/no-such-model" in err


def test_a_run_of_another_configuration_is_not_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    (tmp_path / "c.toml").write_text('[data]\nsources = ["sample"]\n')
    status, _, err = run("train", tmp_path / "c.toml", "--out", tmp_path / "out")
    assert status == 2 and "another configuration" in err


@pytest.mark.parametrize("content", ["{broken", "[1]", "\udcff"])
def test_a_folder_whose_job_cannot_be_read_is_not_overwritten(content, tmp_path):
    (tmp_path / "job.json").write_text(content, errors="surrogateescape")
    with pytest.raises(MixlingError, match=r"job\.json: the file is not a JSON object.*--out"):
        open_run_dir(tmp_path, {"model": "a"})
    assert (tmp_path / "job.json").read_text(errors="surrogateescape") == content


def test_scores_that_are_damaged_are_named(tmp_path):
    (tmp_path / "summary.json").write_text('{"tasks": {}}')
    (tmp_path / "scores.parquet").write_text("x")
    with pytest.raises(MixlingError, match=r"scores\.parquet: the file cannot be read"):
        EvaluationResult.load(tmp_path)


def test_a_device_that_torch_does_not_know_is_named():
    config = load_config({"data": {"sources": ["sample"]}, "training": {"device": "gpu0"}})
    with pytest.raises(MixlingError, match=r"training\.device is 'gpu0'"):
        on_cpu(config.training)


def test_a_run_that_an_older_version_began_goes_on(tmp_path):
    begun = load_config({"data": {"sources": ["sample"]}}).model_dump(mode="json")
    del begun["training"]["gradient_checkpointing"], begun["batches"]["alpha"]
    begun["training"]["steps"] = 7
    (tmp_path / "config.json").write_text(json.dumps(begun))
    now = load_config({"data": {"sources": ["sample"]}, "training": {"steps": 7}}).model_dump(
        mode="json"
    )
    open_run_dir(tmp_path, now, "config.json", migrate_config)
    with pytest.raises(MixlingError, match="another configuration, which differs in batches"):
        open_run_dir(
            tmp_path,
            now | {"batches": now["batches"] | {"alpha": 0.25}},
            "config.json",
            migrate_config,
        )
