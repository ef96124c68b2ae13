import json
import random
import subprocess
import time

import numpy as np
import pytest
import torch

from mixling.corpora.windows import cut_window
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.config import Config
from mixling.training.load_config import load_config, soup_runs
from mixling.training.optimizer import learning_rate_factor
from mixling.training.train import train
from mixling.training.training_data import load_training_data


def config(chain, **training):
    return {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain)},
        "batches": {"size": 8},
        "training": {
            "steps": 12,
            "lr": 1e-3,
            "precision": "fp32",
            "checkpoint_every": 2,
            **training,
        },
    }


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_training_lowers_the_loss_and_writes_an_ordinary_folder(chain, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = train(config(chain, steps=40), tmp_path / "run")
    rows = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == list(range(40))
    assert np.mean([r["loss"] for r in rows[-8:]]) < np.mean([r["loss"] for r in rows[:8]]) - 0.1
    assert {r["kind"] for r in rows} == {"mono", "cross"}
    theirs = SentenceTransformer(str(model), device="cpu")
    text = ["Pomboo hulalaje bila kuzama?"]
    assert (
        np.abs(theirs.encode_query(text) - Retriever(str(model)).encode(text, "query")).max() < 1e-5
    )
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["data"]["sample"]["sha256"] and run["plan"] and run["versions"]["torch"]
    card = (model / "README.md").read_text()
    assert "library_name: sentence-transformers" in card and "hybrid(0.5)" in card


def test_longest_texts_and_checkpointed_layers_are_settings(chain, tmp_path):
    rows = {"plain": [], "short": [], "checkpointed": []}
    cut = {"model": {"name": str(chain), "max_query_length": 5, "max_passage_length": 9}}
    train(config(chain, steps=2), tmp_path / "plain", on_step=rows["plain"].append)
    train({**config(chain, steps=2), **cut}, tmp_path / "short", on_step=rows["short"].append)
    again = {**config(chain, steps=2, gradient_checkpointing=True), **cut}
    train(again, tmp_path / "checkpointed", on_step=rows["checkpointed"].append)
    assert all(r["tokens"] > 8 * (5 + 9) for r in rows["plain"])
    assert all(8 * (2 + 2) < r["tokens"] <= 8 * (5 + 9) for r in rows["short"])
    losses = [[r["loss"] for r in rows[n]] for n in ("short", "checkpointed")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_trackers_get_what_the_log_gets_and_one_that_is_missing_is_named(chain, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(config(chain, steps=3, trackers=["tensorboard"]), tmp_path / "run")
    rows = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (events,) = (tmp_path / "run").rglob("events.out.tfevents*")
    read = EventAccumulator(str(events.parent)).Reload()
    assert [s.value for s in read.Scalars("loss")] == pytest.approx([r["loss"] for r in rows])
    with pytest.raises(MixlingError, match=r"trackers.*nothing"):
        train(config(chain, steps=3, trackers=["nothing"]), tmp_path / "other")


@pytest.mark.slow
def test_killed_three_times_and_resumed_it_ends_in_the_same_bits(chain, tmp_path, forks):
    whole = train(config(chain, dropout=True), tmp_path / "whole")
    (tmp_path / "c.json").write_text(json.dumps(config(chain, dropout=True)))
    code = (
        "import json, sys, time; from mixling.training.train import train; "
        "train(json.load(open(sys.argv[1])), sys.argv[2], on_step=lambda r: (print(r['step'], "
        "flush=True), time.sleep(0.05)))"
    )
    command = [code, tmp_path / "c.json", tmp_path / "cut"]
    chance = random.Random(time.time_ns())
    stops = sorted(chance.sample(range(1, 11), 3))
    for stop in stops:
        with forks.start(*command, stdout=subprocess.PIPE) as process:
            for line in process.stdout:
                if int(line) >= stop:
                    time.sleep(chance.random() * 0.1)
                    process.kill()
                    break
        assert not (tmp_path / "cut" / "run.json").exists(), stops
    forks.run(*command, check=True)
    a, b = weights(whole), weights(tmp_path / "cut" / "model")
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a), stops
    logs = [
        [
            (r["step"], r["loss"])
            for r in map(json.loads, (tmp_path / n / "log.jsonl").read_text().splitlines())
        ]
        for n in ("whole", "cut")
    ]
    assert logs[0] == logs[1]


def test_a_finished_run_is_left_alone(chain, tmp_path):
    model = train(config(chain, steps=2), tmp_path / "run")
    before = (model / "model.safetensors").stat().st_mtime_ns
    assert train(config(chain, steps=2), tmp_path / "run") == model
    assert (model / "model.safetensors").stat().st_mtime_ns == before


def test_averaging_with_the_base_is_halfway(chain, tmp_path):
    full, half = (
        weights(train(config(chain, steps=4, average_with_base=s), tmp_path / str(s)))
        for s in (0.0, 0.5)
    )
    base = weights(chain)
    for key in full:
        assert torch.allclose(half[key], (full[key] + base[key]) / 2, atol=1e-6)


def test_frozen_embeddings_stay(chain, tmp_path):
    after, base = (
        weights(train(config(chain, steps=2, freeze_embeddings=True), tmp_path / "r")),
        weights(chain),
    )
    key = next(k for k in base if "word_embeddings" in k)
    assert torch.equal(after[key], base[key])
    other = next(k for k in base if "intermediate.dense.weight" in k)
    assert not torch.equal(after[other], base[other])


def test_frozen_embeddings_stay_whatever_an_encoder_calls_them(tmp_path):
    from tests.test_packed import UNPACKABLE, encoder

    base = weights(encoder(tmp_path / "m", UNPACKABLE["modernbert"]))
    after = weights(train(config(tmp_path / "m", steps=2, freeze_embeddings=True), tmp_path / "r"))
    same = [k for k in base if torch.equal(after[k], base[k])]
    assert [k for k in same if "tok_embeddings" in k] and len(same) < len(base) / 2


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_lowest_layers_stay_and_what_comes_after_them_moves(chain, kind, tmp_path):
    from tests.test_packed import UNPACKABLE, encoder

    model = chain if kind == "bert" else encoder(tmp_path / "m", UNPACKABLE[kind])
    base = weights(model)
    after = weights(train(config(model, steps=2, freeze_layers=1), tmp_path / "r"))
    same = {k for k in base if torch.equal(after[k], base[k])}
    lowest = {k for k in base if "embeddings" in k or "layer.0." in k or "layers.0." in k}
    assert lowest <= same and any("layer" in k for k in set(base) - same)
    assert not [k for k in same - lowest if "pooler" not in k and not k.endswith("key.bias")]


def test_no_layer_left_to_train_is_an_error(chain, tmp_path):
    with pytest.raises(MixlingError, match=r"freeze_layers is 9, but this encoder has \d+ layers"):
        train(config(chain, steps=2, freeze_layers=9), tmp_path / "r")


def test_validation_keeps_the_best_and_stops_early(chain, tmp_path, monkeypatch):
    values, seen = iter([0.3, 0.5, 0.4, 0.5]), []

    def means(retriever, task, precision):
        assert (task.name, precision) == ("sample", "fp32")
        seen.append({k: v.clone() for k, v in retriever.model.state_dict().items()})
        return {"multilingual": {"mAP": next(values)}}

    monkeypatch.setattr("mixling.training.validate.scenario_means", means)
    settings = config(
        chain,
        validation={"task": "sample", "every": 2, "patience": 2, "metric": "multilingual.mAP"},
    )
    model = train(settings, tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["best"]["stopped"] and run["steps"] == 8
    assert (run["best"]["step"], run["best"]["value"], run["best"]["metric"]) == (
        4,
        0.5,
        "multilingual.mAP",
    )
    kept = Retriever(str(model)).model.state_dict()
    assert all(torch.equal(kept[k], v) for k, v in seen[1].items())
    assert any(not torch.equal(kept[k], v) for k, v in seen[3].items())


def test_validation_measures_a_real_task(chain, tmp_path):
    train(
        config(chain, validation={"task": "sample", "every": 6, "metric": "multilingual.mAP"}),
        tmp_path / "run",
    )
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["best"]["step"] in (6, 12) and 0 < run["best"]["value"] <= 1


def test_accumulated_batches_are_the_mean_of_their_losses(chain, tmp_path):
    train(config(chain, steps=1, gradient_accumulation_steps=3), tmp_path / "three")
    train(config(chain, steps=3, lr=1e-12), tmp_path / "one")
    three, one = (
        [json.loads(x)["loss"] for x in (tmp_path / n / "log.jsonl").read_text().splitlines()]
        for n in ("three", "one")
    )
    assert three[0] == pytest.approx(np.mean(one), rel=1e-4)


def test_bf16_is_refused_where_there_is_none(chain, tmp_path, monkeypatch):
    monkeypatch.setattr("mixling.models.precision.has_bf16", lambda: False)
    with pytest.raises(MixlingError, match="no bf16 instructions"):
        train(config(chain, precision="bf16"), tmp_path / "run")


def test_a_loss_that_is_no_number_stops_the_run(chain, tmp_path):
    with pytest.raises(MixlingError, match=r"loss is .*Lower training.lr"):
        train(config(chain, lr=1e30, max_grad_norm=0), tmp_path / "run")


def test_runs_of_two_precisions_in_one_process(chain, tmp_path, monkeypatch):
    monkeypatch.setattr("mixling.models.precision.has_bf16", lambda: True)
    for precision in ("bf16", "fp32"):
        train(config(chain, steps=1, precision=precision), tmp_path / precision)
    run = json.loads((tmp_path / "bf16" / "run.json").read_text())
    assert run["precision"] == "bf16"


def test_the_rate_rises_then_falls():
    rates = [learning_rate_factor(s, 100, 0.1, "linear") for s in range(100)]
    assert (
        rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[-1] == pytest.approx(1 / 90)
    )
    assert (
        learning_rate_factor(50, 100, 0.1, "constant") == 1
        and 0.5 < learning_rate_factor(50, 100, 0.1, "cosine") < 0.7
    )


def test_the_rate_is_constant_until_its_decay():
    rates = [learning_rate_factor(s, 100, 5, "wsd", 0.2) for s in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:81] == [1.0] * 76
    # a quarter of the decay is over, 1 - sqrt(1 / 4) is left
    assert rates[85] == pytest.approx(0.5)
    assert rates[80:] == sorted(rates[80:], reverse=True) and 0 < rates[-1] < 0.03


def test_a_longer_run_goes_on_from_a_shorter_one(chain, tmp_path):
    options = {"schedule": "wsd", "warmup": 3, "decay": 0.5, "checkpoint_every": 4}
    whole = train(config(chain, steps=20, **options), tmp_path / "whole")
    train(config(chain, steps=12, **options), tmp_path / "short")
    steps = []
    longer = train(
        config(chain, steps=20, continues=str(tmp_path / "short"), **options),
        tmp_path / "longer",
        on_step=lambda row: steps.append(row["step"]),
    )
    assert steps == list(range(6, 20))
    first, second = weights(whole), weights(longer)
    assert all(torch.equal(first[k], second[k]) for k in first)
    log = (tmp_path / "longer" / "log.jsonl").read_text().splitlines()
    assert [json.loads(x)["step"] for x in log] == list(range(20))
    assert json.loads((tmp_path / "longer" / "run.json").read_text())["steps"] == 20


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"lr": 2e-3}, r"training.lr must be as in .*short"),
        ({"steps": 8}, "6 steps before its decay, and this run 4. Raise training.steps"),
        ({"schedule": "linear"}, 'needs training.schedule = "wsd"'),
        ({"warmup": 0.1}, "Give training.warmup as a number of steps"),
        ({"continues": "nowhere"}, "nowhere: the folder holds no run"),
        ({"continues": "linear"}, "training.schedule must be as in"),
    ],
)
def test_what_cannot_be_continued(chain, tmp_path, monkeypatch, changed, match):
    monkeypatch.chdir(tmp_path)
    options = {"schedule": "wsd", "warmup": 3, "decay": 0.5}
    train(config(chain, steps=12, **options), tmp_path / "short")
    if changed.get("continues") == "linear":
        train(config(chain, steps=12, warmup=3), tmp_path / "linear")
    asked = {"steps": 20, "continues": "short", **options, **changed}
    with pytest.raises(MixlingError, match=match):
        train(config(chain, **asked), tmp_path / "longer")


def test_a_run_continues_one_of_the_same_data(chain, tmp_path):
    options = {"schedule": "wsd", "warmup": 3, "decay": 0.5}
    train(config(chain, steps=12, **options), tmp_path / "short")
    other = config(chain, steps=20, continues=str(tmp_path / "short"), **options)
    other["batches"]["size"] = 4
    with pytest.raises(MixlingError, match="batches must be as in"):
        train(other, tmp_path / "longer")


def test_a_soup_continues_run_by_run(chain):
    training = {"steps": 20, "schedule": "wsd", "warmup": 3, "continues": "runs/short"}
    soup = [{"batches": {"strategy": x}} for x in ("x-y", "hybrid")]
    runs = soup_runs(load_config({**config(chain, **training), "soup": soup}))
    assert [r.training.continues for r in runs] == ["runs/short/run-1", "runs/short/run-2"]


def test_only_sources_must_be_given():
    assert isinstance(load_config({"data": {"sources": ["sample"]}}), Config)


def test_a_window_holds_the_answer():
    text = " ".join(f"word{i}" for i in range(200))
    start = text.index("word150")
    part = cut_window(text, start, start + 7, 100)
    assert "word150" in part and len(part) <= 100 and part in text
    assert (
        cut_window(text, -1, -1, 100).startswith("word0")
        and cut_window("short", 0, 2, 100) == "short"
    )


def test_texts_are_those_of_the_plan():
    data = load_training_data(
        load_config({"data": {"sources": ["sample"]}, "batches": {"size": 16}})
    )
    schedule, pairs = data.schedule, data.texts
    from mixling.corpora import sample

    corpus = sample.read_sample("train")
    question = {(r["group"], r["language"]): r["text"] for r in corpus.queries.to_pylist()}
    passage = {(r["group"], r["language"]): r["text"] for r in corpus.passages.to_pylist()}
    for step in range(6):
        batch, row = pairs.batch(schedule.plan(step)), schedule.describe(step)
        for i, (q, p, group) in enumerate(row["pairs"]):
            assert batch.queries[i] == question[group, q]
            assert passage[group.rpartition(".")[0], p].startswith(batch.passages[i][:80])
