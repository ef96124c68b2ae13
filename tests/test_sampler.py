"""HybridBatchSampler under sentence-transformers' trainer.

Evaluation sets, several data sets, workers, resuming, processes.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard, DataLoaderShard, skip_first_batches
from datasets import DatasetDict

import mixling
from mixling.corpora import sample
from mixling.errors import MixlingError

TRAIN, HELD_OUT = sample.read_sample("train"), sample.read_sample("test")


@pytest.fixture(scope="module")
def model(chain):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(chain), device="cpu")


def trainer(model, folder, corpus=TRAIN, data=None, held_out=None, **arguments):
    """A trainer of theirs with our sampler."""
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    arguments = {
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 10,
        "report_to": "none",
        "use_cpu": True,
        "save_strategy": "no",
        "disable_tqdm": True,
        "seed": 3,
        **arguments,
    }
    made = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        batch_sampler=partial(mixling.HybridBatchSampler, corpus=corpus),
        **arguments,
    )
    data = mixling.training_pairs(TRAIN) if data is None else data
    loss = MultipleNegativesRankingLoss(model)
    return SentenceTransformerTrainer(
        model, made, train_dataset=data, eval_dataset=held_out, loss=loss
    )


def planned(epochs, corpus=TRAIN, seed=3):
    """Our batches of so many epochs."""
    ours, found = (
        mixling.HybridBatchSampler(mixling.training_pairs(corpus), 8, corpus=corpus, seed=seed),
        [],
    )
    for epoch in range(epochs):
        ours.set_epoch(epoch)
        found += list(ours)
    return found


@pytest.fixture
def taken(monkeypatch):
    """The batches that a trainer takes of our sampler, as they come."""
    found, real = [], mixling.HybridBatchSampler.__iter__

    def watched(self):
        for rows in real(self):
            found.append(rows)
            yield rows

    monkeypatch.setattr(mixling.HybridBatchSampler, "__iter__", watched)
    return found


def wrong_sets():
    right = mixling.training_pairs(TRAIN)
    yield "shuffled", right.shuffle(seed=0)
    yield "two rows exchanged", right.select([1, 0, *range(2, len(right))])
    yield "filtered", right.select(range(len(right) - 1))
    yield "a row twice, one missing", right.select([0, 0, *range(2, len(right))])
    yield (
        "of another corpus, cut to the same length",
        mixling.training_pairs(sample.read_sample("all")).select(range(len(right))),
    )
    yield "without questions", right.remove_columns("query")
    yield (
        "passages of other rows",
        right.add_column("p", [*right["passage"][1:], ""]).remove_columns("passage"),
    )


@pytest.mark.parametrize("what, data", [pytest.param(*x, id=x[0]) for x in wrong_sets()])
def test_rows_that_are_not_the_corpus_pairs_in_their_order_are_refused(what, data):
    with pytest.raises(MixlingError, match=f"'{TRAIN.name}'"):
        mixling.HybridBatchSampler(data, 8, corpus=TRAIN)


def test_columns_may_be_renamed_prompted_and_of_any_width():
    right = mixling.training_pairs(TRAIN)
    wanted = list(mixling.HybridBatchSampler(right, 8, corpus=TRAIN))
    prompted = right.map(
        lambda r: {"query": f"query: {r['query']}", "passage": f"passage: {r['passage']}"}
    )
    for data in (
        right.rename_columns({"query": "anchor", "passage": "positive"}),
        right.select_columns(["passage", "query"]).add_column("label", [1] * len(right)),
        prompted,
        mixling.training_pairs(TRAIN, 60),
        mixling.training_pairs(TRAIN, None),
        right.with_format("torch"),
    ):
        assert list(mixling.HybridBatchSampler(data, 8, corpus=TRAIN)) == wanted


def test_an_evaluation_set_of_another_corpus_comes_once_row_by_row(model, tmp_path, caplog):
    dev = mixling.training_pairs(HELD_OUT)
    one = trainer(
        model, tmp_path, held_out={"dev": dev, "part": dev.shuffle(seed=1).select(range(25))}
    )
    for name, rows in (("dev", len(dev)), ("part", 25)):
        batches = list(one.get_eval_dataloader(name).batch_sampler)
        assert sorted(i for b in batches for i in b) == list(range(rows))
        assert len(batches) == len(one.get_eval_dataloader(name)) == -(-rows // 10)
        assert batches == list(one.get_eval_dataloader(name).batch_sampler)
    said = caplog.text
    assert said.count("25 rows") == 1 and f"{len(dev):,} rows" in said
    assert np.isfinite(one.evaluate(dev.select(range(20)))["eval_loss"])


def test_an_evaluation_set_whose_corpus_is_given_is_planned(model, tmp_path, capsys):
    one = trainer(
        model,
        tmp_path,
        [TRAIN, HELD_OUT],
        held_out=mixling.training_pairs(HELD_OUT),
        per_device_eval_batch_size=8,
    )
    batches, data = list(one.get_eval_dataloader().batch_sampler), mixling.training_pairs(HELD_OUT)
    group = dict(zip(*(HELD_OUT.passages[c].to_pylist() for c in ("text", "group")), strict=True))
    assert batches == planned(1, HELD_OUT)
    assert all(len({group[p] for p in data[rows]["passage"]}) == 8 for rows in batches)
    assert not capsys.readouterr().err


def test_training_on_a_set_of_another_corpus_is_refused_though_evaluating_is_not(model, tmp_path):
    one = trainer(
        model,
        tmp_path,
        data=mixling.training_pairs(HELD_OUT),
        held_out=mixling.training_pairs(HELD_OUT),
        max_steps=1,
    )
    assert len(one.get_eval_dataloader())
    with pytest.raises(MixlingError, match=r"mixling\.training_pairs"):
        one.train()


def test_several_data_sets_have_each_their_corpus(model, tmp_path):
    parts = [TRAIN.select(languages=x) for x in (["en", "sw", "de"], ["hi", "zh", "en"])]
    data = DatasetDict(
        {"a": mixling.training_pairs(parts[0]), "b": mixling.training_pairs(parts[1])}
    )
    loader = trainer(model, tmp_path, parts, data).get_train_dataloader()
    found, edge = list(loader.batch_sampler), len(data["a"])
    first = [b for b in found if max(b) < edge]
    second = [[i - edge for i in b] for b in found if min(b) >= edge]
    assert first == planned(1, parts[0]) and second == planned(1, parts[1])
    assert len(found) == len(first) + len(second) == len(loader)


def test_workers_get_the_planned_rows(model, tmp_path, taken):
    alone = trainer(model, tmp_path).get_train_dataloader()
    several = trainer(model, tmp_path, dataloader_num_workers=2).get_train_dataloader()
    pairs = [[b["query_input_ids"].tolist() for b in x] for x in (alone, several)]
    found = list(taken)
    assert pairs[0] == pairs[1] and len(pairs[0]) == len(planned(1))
    assert found == planned(1) * 2


def test_a_run_goes_on_at_the_batch_where_it_was_cut(model, tmp_path, taken):
    """Saved after step 7, in the second epoch; each step takes two batches."""
    a_step, epoch, whole = 2, len(planned(1)), planned(5)
    more = {
        "max_steps": 9,
        "gradient_accumulation_steps": a_step,
        "save_strategy": "steps",
        "save_steps": 7,
    }
    taken.clear()
    trainer(model, tmp_path, **more).train()
    assert epoch < 7 * a_step and taken[: 9 * a_step] == whole[: 9 * a_step]
    taken.clear()
    trainer(model, tmp_path, **more).train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))
    begun = 7 * a_step // epoch * epoch  # the epoch's batches before are skipped, not used
    assert taken[: 9 * a_step - begun] == whole[begun : 9 * a_step]


@pytest.mark.parametrize("processes, drop_last", [(2, True), (3, True), (2, False)])
def test_every_process_gets_its_share_and_none_gets_anothers(processes, drop_last):
    ours = mixling.HybridBatchSampler(
        mixling.training_pairs(TRAIN), 8, drop_last, corpus=TRAIN, seed=3
    )
    shards = [BatchSamplerShard(ours, processes, i, even_batches=False) for i in range(processes)]
    whole, seen = planned(3), []
    for epoch in range(3):
        ours.set_epoch(epoch)
        each = [list(s) for s in shards]
        assert [len(x) for x in each] == [len(s) for s in shards]
        mine = whole[epoch * len(ours) : (epoch + 1) * len(ours)]
        n = len(mine) // processes * processes if drop_last else len(mine)
        assert all(x == mine[i:n:processes] for i, x in enumerate(each))
        seen += [tuple(b) for x in each for b in x]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("process", [0, 1])
def test_a_run_of_two_processes_goes_on_in_the_epoch_where_it_was_cut(process):
    """As transformers' trainer does.

    The first batches of a process are skipped, then the epoch is set.
    """
    data = mixling.training_pairs(TRAIN)
    ours = mixling.HybridBatchSampler(data, 8, corpus=TRAIN, seed=3)
    shard = BatchSamplerShard(ours, 2, process, even_batches=False)
    loader = skip_first_batches(DataLoaderShard(data, batch_sampler=shard), 2)
    loader.set_epoch(1)
    wanted = planned(2)[len(ours) :][process::2][2:]
    assert [b["query"] for b in loader] == [data[rows]["query"] for rows in wanted]


def test_the_batches_of_an_evaluation_stay_the_same(model, tmp_path):
    one = trainer(
        model,
        tmp_path,
        held_out=mixling.training_pairs(TRAIN),
        dataloader_persistent_workers=True,
        dataloader_num_workers=1,
    )
    twice = [[b["query_input_ids"].tolist() for b in one.get_eval_dataloader()] for _ in range(2)]
    assert twice[0] == twice[1]
