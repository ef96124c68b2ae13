import json
from pathlib import Path

import pytest

from mixling.corpora import sample
from mixling.corpora.folder import write_folder
from mixling.debiasing.debias import debias
from mixling.debiasing.registry import create_method
from mixling.errors import MixlingError
from mixling.evaluation.measure import measure
from mixling.studies import study as study_module
from mixling.studies.plan import read_study, variant_config, variant_run
from mixling.studies.study import study

TEXT = """
[study]
tasks = ["sample"]
development = "mlqa-held-out"
seeds = [0, 1]
[base]
data = {{ sources = ["sample"] }}
model = {{ name = "{model}" }}
batches = {{ size = 8 }}
training = {{ steps = 3, precision = "fp32" }}
[[variants]]
name = "none"
train = false
[[variants]]
name = "x-y"
set = {{ "batches.strategy" = "x-y" }}
"""


def test_a_study_makes_its_table_and_goes_on_where_it_was(chain, tmp_path, monkeypatch):
    file = tmp_path / "s.toml"
    file.write_text(TEXT.format(model=chain))
    results = study(file, tmp_path / "runs")
    assert results.complete and [r["variant"] for r in results.runs] == ["none", "x-y", "x-y"]
    assert [t["seeds"] for t in results.table] == [1, 2]
    assert json.loads((tmp_path / "s.json").read_text()) == results.to_dict()
    tested = results.tested["sample"]["x-y"]["multilingual.mAP"]
    means = [t["multilingual.mAP"] for t in results.table]
    assert results.against == "none" and tested["difference"] == pytest.approx(
        means[1] - means[0], abs=1e-9
    )
    assert tested["low"] <= tested["difference"] <= tested["high"] and 0 < tested["p"] <= 1
    low, high = results.runs[0]["tasks"]["sample"]["intervals"]["multilingual"]
    assert low <= means[0] <= high
    table = (tmp_path / "s.md").read_text()
    assert "| sample | x-y | 2 |" in table and "Not complete" not in table
    assert not (tmp_path / "runs" / "x-y-0" / "run" / "model").exists()
    monkeypatch.setattr("mixling.studies.study.train", lambda *a: pytest.fail("trained again"))
    assert study(file, tmp_path / "runs").table == results.table


def test_a_task_that_is_added_is_measured_on_every_run(chain, tmp_path, monkeypatch):
    write_folder(sample.read_sample("test"), tmp_path / "own")
    file = tmp_path / "s.toml"
    text = TEXT.format(model=chain).replace("seeds = [0, 1]", "seeds = [0]")
    file.write_text(text)
    before = study(file, tmp_path / "runs")
    measured = []
    whole = study_module.evaluate
    monkeypatch.setattr(
        study_module,
        "evaluate",
        lambda m, tasks, **more: measured.append(tasks) or whole(m, tasks, **more),
    )
    file.write_text(text.replace('"sample"]', f'"sample", "{tmp_path / "own"}"]', 1))
    after = study(file, tmp_path / "runs")
    assert [[t.name for t in tasks] for tasks in measured] == [["own"], ["own"]]
    assert [t["task"] for t in after.table] == ["sample", "sample", "own", "own"]
    assert after.table[:2] == before.table and after.tested["sample"] == before.tested["sample"]
    # the sample's test part is the task "sample": the same model, trained again, gives the same
    # figures
    mine = [t["multilingual.mAP"] for t in after.table]
    assert mine[2:] == pytest.approx(mine[:2])


def test_a_study_measures_baselines_and_maps_beside_what_it_trains(chain, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        TEXT.format(model=chain).replace("seeds = [0, 1]", "seeds = [0]")
        + """
debias = { method = "lsar", fit = ["sample"] }
[[variants]]
name = "LSAR"
train = false
debias = { method = "lsar", fit = ["sample"] }
[[variants]]
name = "random"
train = false
model = "random"
"""
    )
    results = study(file, tmp_path / "runs")
    rows = {t["variant"]: t["multilingual.mAP"] for t in results.table}
    out = tmp_path / "by-hand"
    debias(str(chain), "lsar", ["sample"], out)
    assert rows["LSAR"] == pytest.approx(
        measure(str(out), ["sample"]).summary["tasks"]["sample"]["multilingual"]["mAP"]
    )
    assert rows["random"] == pytest.approx(
        measure("random", ["sample"]).summary["tasks"]["sample"]["multilingual"]["mAP"]
    )
    assert len(set(rows.values())) == 4
    assert not list((tmp_path / "runs").glob("*/run/debiased"))


STUDIES = [
    f
    for f in sorted((Path(__file__).parent.parent / "studies").glob("*.toml"))
    if "[study]" in f.read_text()
]


@pytest.mark.parametrize("file", STUDIES, ids=lambda f: f.stem)
def test_every_study_that_is_here_can_be_read(file):
    plan = read_study(file)
    for variant in plan.variants:
        assert (variant_config(plan, variant, 0, file) is None) == (not variant.train)
        settings = {
            k: v
            for k, v in variant.debias.items()
            if k not in ("method", "fit", "languages", "texts", "precision")
        }
        if variant.debias:
            create_method(variant.debias["method"], settings)
    assert plan.study.against in (None, *(v.name for v in plan.variants))


@pytest.mark.parametrize(
    "change, expected",
    [
        (('"mlqa-held-out"', '"sample"'), "Choose options on a development task"),
        (('"mlqa-held-out"', '"afriqa:test@sw,en"'), "Choose options on a development task"),
        (('"x-y" }', '"y-y" }'), "variant 'x-y'"),
        (("seeds = [0, 1]", "seedz = [1]"), "seedz"),
    ],
)
def test_a_bad_study_is_refused_before_anything_runs(chain, tmp_path, change, expected):
    (tmp_path / "s.toml").write_text(TEXT.format(model=chain).replace(*change))
    with pytest.raises(MixlingError, match=expected):
        study(tmp_path / "s.toml", tmp_path / "runs")


def test_one_run_is_what_the_study_would_train(tmp_path, run):
    file = tmp_path / "s.toml"
    file.write_text(
        '[study]\ntasks = ["sample"]\ndevelopment = "my-dev"\nseeds = [3, 4]\n[base]\ndata = { '
        'sources = ["sample"] }\n[[variants]]\nname = "a b"\nset = { "batches.alpha" = 0.25, '
        '"soup" = [{ batches = { strategy = "x-y" } }, {}] }\n[[variants]]\nname = "none"\ntrain = '
        "false\n"
    )
    config, place = variant_run(file, "a b", 4)
    assert config.batches.alpha == 0.25 and config.training.seed == 4 and len(config.soup) == 2
    assert place == Path("runs/s/a-b-4/run")
    assert variant_run(file, "a b")[1] == Path("runs/s/a-b-3/run")
    for words, expected in (
        (["--variant", "a c"], "Did you mean 'a b'"),
        (["--variant", "none"], "unknown variant that is trained"),
        (["--variant", "a b", "--seed", "9"], "has no seed 9. Its seeds are: [3, 4]"),
        (["--seed", "3"], "--variant and --seed select a run of a study"),
    ):
        status, _, err = run("train", file, *words)
        assert status == 2 and expected in err
    file.write_text(file.read_text().replace("my-dev", "xquad-r"))
    status, _, err = run("train", file, "--variant", "a b")
    assert status == 2 and "Choose options on a development task" in err


WITHOUT_TRAINING = """
[study]
tasks = ["sample"]
development = "mlqa-held-out"
[transforms]
LSAR = {{ method = "lsar", fit = ["sample"] }}
mean = {{ method = "centering", fit = ["sample"] }}
[[variants]]
name = "chance"
train = false
model = "random"
[[variants]]
name = "ours"
train = false
model = "{model}"
transforms = ["LSAR", "mean"]
[[variants]]
name = "elsewhere"
train = false
model = "nobody/has-this"
transforms = ["LSAR"]
"""


def test_a_variant_is_measured_behind_transforms_and_each_is_tested_against_it(chain, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(WITHOUT_TRAINING.format(model=chain).partition('[[variants]]\nname = "else')[0])
    results = study(file, tmp_path / "runs")
    rows = {t["variant"]: t["multilingual.mAP"] for t in results.table}
    assert list(rows) == ["chance", "ours", "ours, LSAR", "ours, mean"] and results.complete
    tested = {k: v["multilingual.mAP"]["difference"] for k, v in results.tested["sample"].items()}
    assert tested == pytest.approx(
        {
            "ours": rows["ours"] - rows["chance"],
            "ours, LSAR": rows["ours, LSAR"] - rows["ours"],
            "ours, mean": rows["ours, mean"] - rows["ours"],
        },
        abs=1e-9,
    )
    # encoded once: the transforms read the cache of their model
    assert len(list((tmp_path / "runs" / "vectors").iterdir())) == 2
    entry = results.runs[1]["tasks"]["sample"]
    share = results.table[1]["bias.intrusion@10"]
    assert entry["bias"]["intrusion@10"] == share and 0 <= share <= 1
    assert f"| {share:.4f} |" in (tmp_path / "s.md").read_text()


def test_a_variant_that_fails_costs_its_own_rows_and_is_tried_again(
    chain, tmp_path, run, monkeypatch
):
    file = tmp_path / "s.toml"
    file.write_text(WITHOUT_TRAINING.format(model=chain))
    status, out, _ = run("study", file, "--out", tmp_path / "runs")
    assert status == 1 and "| ours, mean |" in out and "Not complete" not in out
    (line,) = (x for x in out.splitlines() if x.startswith("Not measured"))
    assert line.startswith("Not measured: elsewhere; elsewhere, LSAR. 'nobody/has-this'")
    written = json.loads((tmp_path / "s.json").read_text())
    assert not written["complete"] and len(written["tested"]["sample"]) == 3
    assert [f["variant"] for f in written["failed"]] == ["elsewhere", "elsewhere, LSAR"]
    # a reference that failed leaves its tests out, and no other
    file.write_text(file.read_text().replace("[study]", '[study]\nagainst = "elsewhere"'))
    again = study(file, tmp_path / "runs")
    assert list(again.tested["sample"]) == ["ours, LSAR", "ours, mean"]
    file.write_text(file.read_text().replace("nobody/has-this", str(chain)))
    assert study(file, tmp_path / "runs").complete
    assert "failed" not in json.loads((tmp_path / "s.json").read_text())


def test_a_training_that_fails_leaves_the_others(chain, tmp_path, monkeypatch):
    file = tmp_path / "s.toml"
    file.write_text(TEXT.format(model=chain).replace("seeds = [0, 1]", "seeds = [0]"))

    def fail(*_, **__):
        raise MixlingError("step 2: the loss is not finite")

    monkeypatch.setattr("mixling.studies.study.train", fail)
    result = study(file, tmp_path / "runs")
    assert [r["variant"] for r in result.runs] == ["none"]
    assert result.failed == [
        {"variant": "x-y", "seed": 0, "error": "step 2: the loss is not finite"}
    ]


@pytest.mark.parametrize(
    "change, expected",
    [
        (('["LSAR", "mean"]', '["LSAR", "means"]'), "Did you mean 'mean'"),
        (('train = false\nmodel = "random"', "train = false"), "names no model"),
        (("[study]", '[study]\nagainst = "our"'), "Did you mean 'ours'"),
        (('transforms = ["LSAR"]', 'transforms = ["LSAR"]\nagainst = "x"'), "unknown variant 'x'"),
        (
            ('transforms = ["LSAR"]', 'transforms = ["LSAR"]\ndebias = { method = "lsar" }'),
            "without debias",
        ),
        (('transforms = ["LSAR"]', 'transforms = ["LSAR", "LSAR"]'), "have the same folder"),
    ],
)
def test_transforms_that_cannot_be_are_refused(chain, tmp_path, change, expected):
    text = WITHOUT_TRAINING.format(model=chain)
    assert change[0] in text
    (tmp_path / "s.toml").write_text(text.replace(*change))
    with pytest.raises(MixlingError, match=expected):
        study(tmp_path / "s.toml", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
