"""The recipe is the trial that was chosen, and what studies.low_resource_tests keeps and tests."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from studies import low_resource_data as data
from studies import low_resource_tests as study
from studies import low_resource_trials as trials

import mixling
from mixling.corpora.catalog import load
from mixling.corpora.folder import write_folder
from mixling.evaluation.rows import task_rows
from mixling.training.load_config import load_config

CHOSEN, SHARE = "all, 800 steps", 0.4


def test_the_recipe_is_the_chosen_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "source_tables", lambda names, *_: [{"name": x} for x in names])
    trial = load_config(trials.trial_config(CHOSEN, tmp_path, None, None))
    recipe = load_config(None, study.RECIPE)
    assert recipe.training.average_with_base == SHARE
    free = {
        "data": {"sources", "exclude"},
        "training": {"average_with_base", "checkpoint_every", "continues"},
    }
    assert recipe.model_dump(exclude=free) == trial.model_dump(exclude=free)
    # the Declaration's twenty articles cannot fill a batch by themselves
    tried = [x.replace("sib-udhr", "sib") for x in trials.ALL]
    names = [s.name + "-sentences" * s.sentences for s in recipe.data.sources]
    assert sorted(study.PREPARED[x] for x in names) == sorted(tried)
    assert recipe.data.exclude == [*data.TESTS, *data.TASKS.values()]
    cross = {s.name for s in recipe.data.sources if s.batch_type == "cross"}
    assert cross == {"sib-200", "tico-19", "quran"}


def test_the_contributions_of_groups_add_up_to_the_figures(chain):
    result = mixling.evaluate(str(chain), ["sample"])
    entry = result.summary["tasks"]["sample"]
    for row in study.contributions_of(task_rows(result.scores, "sample")):
        if row["languages"] == "all":
            expected = entry[row["scenario"]][row["measure"]]
            assert sum(row["values"]) == pytest.approx(expected), row["measure"]


@pytest.mark.parametrize(
    ("name", "is_split"),
    [("tydi@bn,sw,te", True), ("afriqa:test", True), ("afriqa~typos:0.1", False), ("b", False)],
)
def test_questions_are_kept_by_language(name, is_split, chain):
    scores = mixling.evaluate(str(chain), ["sample"]).scores
    column = scores.schema.get_field_index("task")
    renamed = scores.set_column(column, "task", pa.array([name] * scores.num_rows))
    found = {r["languages"] for r in study.contributions_of(renamed)}
    assert ("sw" in found) == is_split


def test_mdpr_takes_one_language_of_all_sources_that_have_questions(tmp_path, monkeypatch):
    def prepare(name, out):
        folder = out / name
        if not folder.exists():
            languages = ["sw", "zh"] if name == "jaquad" else ["de", "sw"]
            write_folder(load("sample", "train", languages=languages), folder)
        return folder

    monkeypatch.setattr(study, "prepare", prepare)
    config = study.config_of(study.GERMAN, 2, tmp_path)
    assert config.batches.strategy == "single" and config.batches.language == "de"
    assert config.batches.seed == config.training.seed == 2 and not config.objective.terms
    names = [s.name for s in config.data.sources]
    assert names == ["mlqa", "mlqa-sentences", "tydi", "libreoffice-help", "libreoffice-sections"]
    corpus = load("mlqa", path=config.data.sources[0].path)
    assert corpus.languages() == ["de"] and corpus.negatives.num_rows
    recipe = load_config(None, study.RECIPE)
    equal = ("steps", "lr", "schedule", "warmup", "average_with_base", "freeze_embeddings")
    assert all(getattr(config.training, k) == getattr(recipe.training, k) for k in equal)
    assert config.batches.size == recipe.batches.size
    assert config.batches.negatives == recipe.batches.negatives


def test_few_shots_stand_beside_the_sources_of_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "prepare", lambda name, out: out / name)
    recipe, few = (study.config_of(x, 1, tmp_path) for x in (study.RECIPE, study.FEW_SHOT))
    assert [s.name for s in few.data.sources] == [*(s.name for s in recipe.data.sources), "afriqa"]
    free = {"data": {"sources"}}
    assert few.model_dump(exclude=free) == recipe.model_dump(exclude=free)
    assert study.tasks_of(study.FEW_SHOT, 0) == study.MAIN
    assert study.tasks_of(study.LONG, 0).keys() - study.MAIN == {"mlqa-r", "xquad-paragraphs"}


def rows(spread):
    """Rows of two trained methods with three seeds, and of one that is not trained."""
    rng = np.random.default_rng(0)
    queries = rng.normal(0, 0.1, 200)
    found = []
    for method, mean in ((study.ZERO_SHOT, 0.5), (study.GERMAN, 0.55), (study.RECIPE, 0.6)):
        for seed in study.SEEDS[method]:
            shift = rng.normal(0, spread) if method in study.TRAINED else 0
            values = (mean + shift + queries + rng.normal(0, 0.02, 200)) / 200
            key = (method, seed, study.AFRIQA, "multilingual", "mAP", "all")
            found.append(dict(zip(study.KEYS, key, strict=True)) | {"values": values})
    return found


def test_a_contrast_counts_the_seeds_of_what_is_trained():
    found = {}
    for spread in (0.0001, 0.1):
        for r in study.contrasts(rows(spread)):
            found[r["first"], r["second"], spread] = r
    sure, unsure = (found[study.GERMAN, study.RECIPE, s] for s in (0.0001, 0.1))
    assert sure["p"] < 0.001 < 0.05 < unsure["p"]
    assert sure["difference"] == pytest.approx(0.05, abs=0.01)
    assert sure["degrees of freedom of seeds"] == 4
    # one that is not trained adds no variance of its own
    shares = [found[x, study.RECIPE, 0.1] for x in (study.ZERO_SHOT, study.GERMAN)]
    widths = [r["high"] - r["low"] for r in shares]
    assert widths[0] == pytest.approx(widths[1] / 2**0.5, rel=0.1)


def test_a_task_that_is_measured_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "CONTRIBUTIONS", tmp_path / "rows.parquet")
    monkeypatch.setattr(study, "RESULT", tmp_path / "result.json")
    monkeypatch.setattr(study, "SEEDS", {study.ZERO_SHOT: (0,)})
    monkeypatch.setattr(study, "all_tasks", lambda: {"sample": "sample:test", "b": "sample"})
    monkeypatch.setattr("sys.argv", ["low_resource_tests", "--out", str(tmp_path / "runs")])
    asked = []

    def measure(model, tasks, **_):
        asked.append(tasks[0].name)
        return mixling.evaluate("bm25", tasks)

    monkeypatch.setattr(study, "measure", measure)
    study.main()
    study.main()
    assert len(asked) == 2
    assert {r["task"] for r in pq.read_table(study.CONTRIBUTIONS).to_pylist()} == {"sample", "b"}
