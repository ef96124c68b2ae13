"""What changed between two calls on one folder is found by content.

Data, model, tokenizer, prompts, teachers, settings.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import mixling
from mixling.corpora.inputs import INPUTS_FILE, check_unchanged
from mixling.encoding.shards import encode
from mixling.encoding.vectors import encode_cached
from mixling.errors import MixlingError
from mixling.models.fingerprints import full_fingerprint
from mixling.models.retriever import Retriever
from mixling.preparation.locate_answers import locate_answers
from mixling.preparation.mine_negatives import mine_negatives
from mixling.studies.study import study
from mixling.training.inputs import input_hashes
from mixling.training.load_config import load_config


def write_data(folder, word="crane", **changes):
    """Six groups in two languages as a BEIR folder. changes: of the first passage."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    passages, queries, links = [], [], ["query-id\tcorpus-id\tscore"]
    for i in range(6):
        for x in ("en", "de"):
            text = f"{word} {i} {x} by lake {i * 7}. A second sentence {i} {x}."
            passages.append(
                {"_id": f"p{i}{x}", "group": f"g{i}", "language": x, "text": text, "title": f"T{i}"}
            )
            queries.append(
                {
                    "_id": f"q{i}{x}",
                    "group": f"h{i}",
                    "language": x,
                    "text": f"where is {word} {i} {x}?",
                }
            )
            links.append(f"q{i}{x}\tp{i}{x}\t1")
    passages[0].update(changes)
    for name, rows in (("corpus", passages), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "qrels" / "train.tsv").write_text("\n".join(links) + "\n")
    return folder


def config(data, model, **changes):
    return {
        "data": {"sources": [{"name": "birds", "path": str(data)}]},
        "model": {"name": str(model)},
        "batches": {"size": 3},
        "training": {"steps": 4, "checkpoint_every": 2, "device": "cpu"},
        **changes,
    }


class Stop(Exception):  # noqa: N818
    pass


def cut_at(step):
    def stop(row):
        if row["step"] == step:
            raise Stop

    return stop


@pytest.fixture
def model(chain, tmp_path):
    """A copy of the tiny model, to be changed."""
    return shutil.copytree(chain, tmp_path / "model")


def change_weights(model):
    retriever = Retriever(str(model))
    next(retriever.model.parameters()).data[:, 0] += 0.01
    retriever.save(model)


def change_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_tokenizer(model):
    """Its vocabulary stays, how it splits does not."""
    change_json(model / "tokenizer.json", normalizer={"type": "Lowercase"})


def change_prompts(model):
    prompts = {"query": "frage: ", "passage": "passage: ", "document": "passage: "}
    change_json(model / "config_sentence_transformers.json", prompts=prompts)


def change_heads(model):
    """No weight tells how many heads there are."""
    change_json(model / "config.json", num_attention_heads=2)


def change_pooling(model):
    folder = next(p for p in model.glob("*_Pooling"))
    content = json.loads((folder / "config.json").read_text())
    changed = (
        {**content, "pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
        if "pooling_mode_mean_tokens" in content
        else {**content, "pooling_mode": "cls"}
    )
    (folder / "config.json").write_text(json.dumps(changed))


MODELS = [change_weights, change_tokenizer, change_prompts, change_heads, change_pooling]


@pytest.mark.parametrize("change", MODELS)
def test_a_model_that_changed_is_another_one_and_its_kept_vectors_are_not_read(
    model, tmp_path, change
):
    texts, kept = ["A Crane by the lake", "where is it?"], tmp_path / "kept"
    before = Retriever(str(model))
    encode_cached(before, texts, "query", folder=kept)
    change(model)
    after = Retriever(str(model))
    assert full_fingerprint(before) != full_fingerprint(after)
    made, encoded = encode_cached(after, texts, "query", folder=kept)
    assert encoded and np.allclose(made, encode_cached(after, texts, "query")[0], atol=1e-6)
    assert not np.allclose(made, before.encode(texts, "query"), atol=1e-6)


def test_identity_is_of_the_content_and_not_of_the_last_call_or_place(model, tmp_path):
    one = Retriever(str(model))
    first = full_fingerprint(one)
    one.encode(["a text"], "query")
    one.tokenize(["a text"], None, 5)
    moved = shutil.copytree(model, tmp_path / "elsewhere")
    one.save(tmp_path / "saved")
    assert (
        first
        == full_fingerprint(one)
        == full_fingerprint(Retriever(str(moved)))
        == full_fingerprint(Retriever(str(tmp_path / "saved")))
    )


DATA = [
    {"text": "another text of one passage"},
    {"title": "another title"},
    {"language": "nl"},
    {"group": "g1"},
]


def test_every_part_of_a_source_counts(chain, tmp_path):
    found = [
        input_hashes(load_config(config(write_data(tmp_path / f"d{i}", **changes), chain)))[
            "source 'birds'"
        ]
        for i, changes in enumerate([{}, *DATA])
    ]
    assert len(set(found)) == len(found)


def test_a_run_is_not_gone_on_with_nor_taken_as_done_after_its_data_changed(chain, tmp_path):
    data = write_data(tmp_path / "d")
    with pytest.raises(Stop):
        mixling.train(config(data, chain), tmp_path / "cut", on_step=cut_at(2))
    done = mixling.train(config(data, chain), tmp_path / "done")
    shutil.copytree(tmp_path / "cut", tmp_path / "other")
    write_data(data, title="changed")
    for name in ("cut", "done"):
        with pytest.raises(
            MixlingError, match=rf"{name}: .*source 'birds' \(was [0-9a-f]{{12}}, is"
        ):
            mixling.train(config(data, chain), tmp_path / name)
    assert not (tmp_path / "cut" / "run.json").exists()
    write_data(data)  # brought back: both go on, and end in the same bits
    assert mixling.train(config(data, chain), tmp_path / "done") == done
    again = mixling.train(config(data, chain), tmp_path / "cut")
    assert (again / "model.safetensors").read_bytes() == (done / "model.safetensors").read_bytes()


@pytest.mark.parametrize("change", MODELS[:3])
def test_a_run_is_refused_after_its_model_changed(model, tmp_path, change):
    data = write_data(tmp_path / "d")
    mixling.train(config(data, model, training={"steps": 1, "device": "cpu"}), tmp_path / "run")
    change(model)
    with pytest.raises(MixlingError, match=f"model '{model}'"):
        mixling.train(config(data, model, training={"steps": 1, "device": "cpu"}), tmp_path / "run")


def test_a_teacher_and_a_task_of_validation_count(chain, model, tmp_path):
    data, task = write_data(tmp_path / "d"), write_data(tmp_path / "task")
    one = load_config(
        config(
            data,
            chain,
            objective={"terms": [{"name": "distil-scores", "teacher": str(model)}]},
            training={"steps": 1, "validation": {"task": str(task)}},
        )
    )
    before = input_hashes(one)
    change_weights(model)
    write_data(task, text="another")
    after = input_hashes(one)
    assert {k for k in before if before[k] != after[k]} == {f"teacher '{model}'", f"task '{task}'"}


def test_a_run_of_an_earlier_version_goes_on_and_says_what_it_cannot_tell(chain, tmp_path, caplog):
    data = write_data(tmp_path / "d")
    with pytest.raises(Stop):
        mixling.train(config(data, chain), tmp_path / "cut", on_step=cut_at(2))
    mixling.train(config(data, chain), tmp_path / "done")
    for name in ("cut", "done"):
        (tmp_path / name / INPUTS_FILE).unlink()
    caplog.clear()
    mixling.train(config(data, chain), tmp_path / "cut")
    assert "source 'birds'" in caplog.text and f"model '{chain}'" in caplog.text
    (tmp_path / "done" / INPUTS_FILE).unlink(missing_ok=True)
    write_data(data, text="changed")  # run.json of an earlier version holds the data's hash
    with pytest.raises(MixlingError, match="source 'birds'"):
        mixling.train(config(data, chain), tmp_path / "done")


def test_a_done_run_whose_data_are_gone_is_returned_with_a_warning(chain, tmp_path, caplog):
    data = write_data(tmp_path / "d")
    done = mixling.train(config(data, chain), tmp_path / "run")
    shutil.rmtree(data)
    assert mixling.train(config(data, chain), tmp_path / "run") == done
    assert "not known whether they have changed" in caplog.text


def test_other_versions_are_reported_and_not_refused(tmp_path, caplog):
    check_unchanged(tmp_path, {"a": "1"}, True)
    assert not caplog.messages
    record = json.loads((tmp_path / INPUTS_FILE).read_text())
    (tmp_path / INPUTS_FILE).write_text(
        json.dumps({**record, "versions": {**record["versions"], "torch": "1.0"}})
    )
    check_unchanged(tmp_path, {"a": "1", "b": "2"}, False)
    (message,) = caplog.messages
    assert "begun with torch 1.0, now" in message
    with pytest.raises(MixlingError, match=r"a \(was 1, is 3\), b \(was 2, is 4\)"):
        check_unchanged(tmp_path, {"a": "3", "b": "4"}, False)


def test_vectors_of_a_file_that_changed_in_place_are_refused(chain, tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text('{"_id": "a", "text": "one"}\n{"_id": "b", "text": "two"}\n')
    encode(str(chain), file, tmp_path / "v", precision="fp32")
    file.write_text(
        '{"_id": "a", "text": "one"}\n{"_id": "b", "text": "six"}\n'
    )  # as long as before
    with pytest.raises(MixlingError, match="content was"):
        encode(str(chain), file, tmp_path / "v", precision="fp32")


@pytest.mark.parametrize("make", [mine_negatives, locate_answers])
@pytest.mark.parametrize("change", [change_prompts, change_tokenizer])
def test_what_was_mined_or_located_is_of_its_model(model, tmp_path, make, change):
    data, out = write_data(tmp_path / "d"), tmp_path / "out"
    first = make(str(model), str(data), out, precision="fp32")
    assert make(str(model), str(data), out, precision="fp32") == first
    change(model)
    with pytest.raises(MixlingError, match="identity"):
        make(str(model), str(data), out, precision="fp32")


def test_a_folder_of_an_earlier_version_is_taken_and_what_it_lacks_is_reported(
    chain, tmp_path, caplog
):
    data, out = write_data(tmp_path / "d"), tmp_path / "out"
    mine_negatives(str(chain), str(data), out, precision="fp32")
    report = json.loads((out / "mine.json").read_text())
    del report["identity"], report["precision"]
    (out / "mine.json").write_text(json.dumps(report))
    assert mine_negatives(str(chain), str(data), out, precision="fp32").to_dict() == report
    assert "did not record identity, precision" in caplog.text


def test_a_study_shows_no_result_of_other_settings_data_or_models(model, tmp_path, monkeypatch):
    data, task = write_data(tmp_path / "d"), write_data(tmp_path / "birds")
    file = tmp_path / "s.toml"
    monkeypatch.chdir(tmp_path)

    def go(steps=1):
        file.write_text(
            f'[study]\ntasks = ["{task}"]\ndevelopment = "mlqa-held-out"\n'
            f'[base]\ndata = {{ sources = [{{ name = "d", path = "{data}" }}] }}\nmodel = '
            f'{{ name = "{model}" }}\nbatches = {{ size = 3 }}\ntraining = '
            f'{{ steps = {steps}, device = "cpu" }}\n[[variants]]\nname = "none"\ntrain = '
            'false\n[[variants]]\nname = "trained"\n'
        )
        return study(file, tmp_path / "runs")

    first = go()
    assert go().table == first.table
    with pytest.raises(MixlingError, match=r"trained-0: .*settings"):
        go(steps=2)
    write_data(task, text="another")
    with pytest.raises(MixlingError, match=r"none-0: .*task 'birds'"):
        go()
    write_data(task)
    write_data(data, text="another")
    with pytest.raises(MixlingError, match=r"trained-0: .*source 'd'"):
        go()
    write_data(data)
    change_weights(model)
    with pytest.raises(MixlingError, match=r"none-0: .*model "):
        go()
