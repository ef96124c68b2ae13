"""Mixling in other people's tools.

Sentence-transformers' trainer, mteb, files in their conventions.
"""

from functools import partial
from importlib.metadata import version

import numpy as np
import pytest
from packaging.version import Version

import mixling
from mixling.corpora import sample
from mixling.errors import MixlingError
from mixling.reports.evaluate import evaluate


@pytest.mark.parametrize(
    "alpha, kinds", [(0.5, {"mono", "cross"}), (0.0, {"cross"}), (1.0, {"mono"})]
)
def test_batches_are_those_of_the_strategy(alpha, kinds):
    corpus = sample.read_sample("all")
    data = mixling.training_pairs(corpus)
    assert len(data) == 88 * 8 * 8
    sampler = mixling.HybridBatchSampler(data, 16, corpus=corpus, alpha=alpha)
    text = dict(
        zip(corpus.queries["text"].to_pylist(), corpus.queries["language"].to_pylist(), strict=True)
    )
    passages = dict(
        zip(
            corpus.passages["text"].to_pylist(),
            corpus.passages["language"].to_pylist(),
            strict=True,
        )
    )
    groups = dict(
        zip(corpus.passages["text"].to_pylist(), corpus.passages["group"].to_pylist(), strict=True)
    )
    seen = set()
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == 88 // 16
        for rows in batches:
            batch = data[rows]
            languages = {
                (text[q], passages[p])
                for q, p in zip(batch["query"], batch["passage"], strict=True)
            }
            mono = all(a == b for a, b in languages)
            assert mono or all(a != b for a, b in languages)
            assert not mono or len(languages) == 1
            assert len({groups[p] for p in batch["passage"]}) == 16
            seen.add("mono" if mono else "cross")
    assert seen == kinds


def test_another_data_set_is_refused():
    corpus = sample.read_sample("all")
    with pytest.raises(MixlingError, match=r"mixling\.training_pairs"):
        mixling.HybridBatchSampler(
            mixling.training_pairs(sample.read_sample("test")), 8, corpus=corpus
        )


@pytest.mark.slow
def test_a_run_of_their_trainer(chain, tmp_path, monkeypatch):
    """It takes our batches in our order, over the ends of epochs too, and the model learns from
    them.
    """
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    corpus = sample.read_sample("train")
    model = SentenceTransformer(str(chain), device="cpu")
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "run"),
        per_device_train_batch_size=8,
        max_steps=40,
        learning_rate=1e-3,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        batch_sampler=partial(mixling.HybridBatchSampler, corpus=corpus),
    )
    trainer = SentenceTransformerTrainer(
        model,
        arguments,
        train_dataset=mixling.training_pairs(corpus),
        loss=MultipleNegativesRankingLoss(model),
    )
    before = {k: v.clone() for k, v in model.state_dict().items()}
    taken = []
    real = mixling.HybridBatchSampler.__iter__

    def watched(self):
        for rows in real(self):
            taken.append(rows)
            yield rows

    monkeypatch.setattr(mixling.HybridBatchSampler, "__iter__", watched)
    trainer.train()
    monkeypatch.setattr(mixling.HybridBatchSampler, "__iter__", real)
    seed = arguments.seed if Version(version("sentence-transformers")) >= Version("6.2") else 0
    planned, ours = (
        [],
        mixling.HybridBatchSampler(mixling.training_pairs(corpus), 8, corpus=corpus, seed=seed),
    )
    for epoch in range(6):
        ours.set_epoch(epoch)
        planned += list(ours)
    assert taken[:40] == planned[:40]
    losses = [x["loss"] for x in trainer.state.log_history if "loss" in x]
    assert len(losses) == 40 and np.isfinite(losses).all()
    assert any(not v.equal(before[k].to(v.device)) for k, v in model.state_dict().items())


@pytest.fixture
def local_task():
    """A retrieval task of mteb on our own texts, no network."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    whole = sample.read_sample("test").select(languages=["en"])

    class SampleRetrieval(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="SampleRetrieval",
            description="Mixling's sample set",
            reference=None,
            dataset={"path": "none", "revision": "1"},
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, *_, **__):
            links = whole.links.to_pydict()
            answer = dict(zip(links["group"], links["passage"], strict=True))
            rows = whole.queries.to_pylist()
            self.dataset = {
                "default": {
                    "test": {
                        "queries": Dataset.from_list(
                            [{"id": r["id"], "text": r["text"]} for r in rows]
                        ),
                        "corpus": Dataset.from_list(
                            [
                                {"id": f"d{i}", "title": "", "text": t}
                                for i, t in enumerate(whole.passages["text"].to_pylist())
                            ]
                        ),
                        "relevant_docs": {r["id"]: {f"d{answer[r['group']]}": 1} for r in rows},
                        "top_ranked": None,
                    }
                }
            }
            self.data_loaded = True

    return SampleRetrieval()


@pytest.mark.slow
def test_a_folder_of_ours_in_mteb_gives_our_figures(chain, local_task, tmp_path):
    import mteb
    from sentence_transformers import SentenceTransformer

    mixling.Retriever(str(chain)).save(tmp_path / "model")
    model = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    theirs = mteb.evaluate(model, local_task, cache=None, co2_tracker=False)
    score = theirs.task_results[0].scores["test"][0]
    from mixling.evaluation.mteb_tasks import read_mteb

    local_task.load_data()
    ours = evaluate(str(tmp_path / "model"), [read_mteb(local_task)]).summary["tasks"][
        "mteb:SampleRetrieval"
    ]
    assert ours["monolingual"]["nDCG@10"] == pytest.approx(score["ndcg_at_10"], abs=1e-4)
    assert ours["monolingual"]["R@1"] == pytest.approx(score["recall_at_1"], abs=1e-4)


def test_results_are_accepted_by_mteb(chain, tmp_path):
    from mteb.results import TaskResult

    result = evaluate(str(chain), ["sample"], tmp_path)
    found = TaskResult.from_disk(tmp_path / "mteb" / "sample.json")
    rows = {r["hf_subset"]: r for r in found.scores["test"]}
    assert len(rows) == 8 + 56 + 8
    assert rows["cross-lingual-sw-en"]["languages"] == ["swa-Latn", "eng-Latn"]
    mono = [r["main_score"] for name, r in rows.items() if name.startswith("monolingual")]
    assert np.mean(mono) == pytest.approx(result.value("sample", "monolingual", "nDCG@10"))
