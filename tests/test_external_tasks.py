"""Mixling in other people's tools.

Sentence-transformers' trainer, mteb, files in their conventions.
"""

from functools import partial
from importlib.metadata import version

import numpy as np
import pytest
from packaging.version import Version

import mixling
import mteb_parallel
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


def small_pool(replica, codes):
    """The pool of mteb's form on the languages of a replica."""
    from mixling.evaluation import mteb_pool

    base = {
        "BelebeleRetrieval": mteb_pool.BelebelePoolRetrieval,
        "EuroPIRQRetrieval": mteb_pool.EuroPIRQPoolRetrieval,
        "MLQARetrieval": mteb_pool.MLQAPoolRetrieval,
        "MuPLeR-retrieval": mteb_pool.MuPLeRPoolRetrieval,
        "XQuADRetrieval": mteb_pool.XQuADPoolRetrieval,
    }[replica.name]
    name = f"Small{base.metadata.name}"
    metadata = mteb_pool.pool_metadata(base.source.metadata, name, codes)
    return type(name, (base,), {"metadata": metadata})()


POOLS = {
    "xquad": (["arb-Arab", "deu-Latn", "eng-Latn", "zho-Hans"], "validation"),
    "mupler": (["eng-Latn", "fin-Latn", "spa-Latn"], "test"),
    "europirq": (["eng-Latn", "fin-Latn", "por-Latn"], "test"),
    "mlqa": (["ara-Arab", "deu-Latn", "eng-Latn", "spa-Latn"], "test"),
    "belebele": (["arb-Arab", "deu-Latn", "eng-Latn", "swh-Latn"], "test"),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_of_mteb_has_the_answers_of_the_published_task(monkeypatch, name):
    replica, (codes, split) = getattr(mteb_parallel, name)(), POOLS[name]
    mteb_parallel.install(monkeypatch, replica)
    pool = small_pool(replica, codes)
    pool.load_data()
    assert (
        list(pool.dataset) == codes
        and len({id(x[split]["corpus"]) for x in pool.dataset.values()}) == 1
    )
    found = {}
    for data in (splits[split] for splits in pool.dataset.values()):
        text = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
        for row in data["queries"]:
            relevant = data["relevant_docs"][row["id"]]
            found[row["text"]] = {text[document] for document in relevant}
    assert found == replica.answers


def test_descriptive_statistics_of_a_pool_count_its_corpus_once(monkeypatch, tmp_path):
    from mteb.abstasks.task_metadata import TaskMetadata

    replica = mteb_parallel.mupler()
    mteb_parallel.install(monkeypatch, replica)
    path = property(lambda self: tmp_path / f"{self.name}.json")
    monkeypatch.setattr(TaskMetadata, "descriptive_stat_path", path)
    pool = small_pool(replica, POOLS["mupler"][0])
    whole = pool.calculate_descriptive_statistics()["test"]
    assert (whole["num_documents"], whole["num_queries"]) == (132, 264)
    assert whole["relevant_docs_statistics"]["average_relevant_docs_per_query"] == 3
    parts = whole["hf_subset_descriptive_stats"]
    assert list(parts) == POOLS["mupler"][0]
    assert {(x["num_documents"], x["num_queries"]) for x in parts.values()} == {(132, 88)}
    assert pool.metadata.descriptive_stats["test"]["num_samples"] == 396


@pytest.mark.parametrize("task", ["Belebele", "EuroPIRQ", "MLQA", "MuPLeR", "XQuAD"])
def test_the_metadata_of_a_pool_are_filled_as_those_of_its_source(task):
    from mixling.evaluation import mteb_pool

    pool = getattr(mteb_pool, f"{task}PoolRetrieval")
    source, metadata = pool.source.metadata, pool.metadata
    assert metadata.is_filled() == source.is_filled() and metadata.adapted_from == [source.name]
    assert metadata.hf_subsets == list(dict.fromkeys(metadata.hf_subsets))
    assert set(metadata.hf_subsets) == set(source.bcp47_codes)
    assert pool.__name__ == metadata.name and metadata.dataset == source.dataset
    metadata._validate_metadata()


@pytest.mark.slow
def test_mteb_measures_a_pool_as_mixling_does(chain, monkeypatch, tmp_path):
    """On the same vectors: mteb's cache of vectors encodes the corpus of all subsets once."""
    import mteb
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer

    replica = mteb_parallel.europirq()
    mteb_parallel.install(monkeypatch, replica)
    model = SentenceTransformer(str(chain), device="cpu")
    encoded, encode = [], model.encode
    monkeypatch.setattr(
        model, "encode", lambda inputs, **k: encoded.extend(inputs) or encode(inputs, **k)
    )
    cached = mteb.models.CachedEmbeddingWrapper(SentenceTransformerEncoderWrapper(model), tmp_path)
    pool = small_pool(replica, POOLS["europirq"][0])
    theirs = mteb.evaluate(cached, tasks=[pool], cache=None, co2_tracker=False)[0]
    summary = evaluate(str(chain), ["mteb:EuroPIRQRetrieval"]).summary
    ours = summary["tasks"]["mteb:EuroPIRQRetrieval"]["multilingual"]
    assert len(encoded) == 137 + 264
    rows = {row["hf_subset"]: row for row in theirs.scores["test"]}
    # the pool has fewer passages than mteb's cut of 1,000, which Mixling's mAP has not
    names = {"nDCG@10": "ndcg_at_10", "mAP": "map_at_1000", "R@10": "recall_at_10"}
    for code, language in (("eng-Latn", "en"), ("fin-Latn", "fi"), ("por-Latn", "pt")):
        for measure, name in names.items():
            assert ours["by_language"][language][measure] == pytest.approx(
                rows[code][name], abs=2e-5
            ), (language, name)
    assert theirs.get_score() == pytest.approx(ours["nDCG@10"], abs=2e-5)


def test_results_are_accepted_by_mteb(chain, tmp_path):
    from mteb.results import TaskResult

    result = evaluate(str(chain), ["sample"], tmp_path)
    found = TaskResult.from_disk(tmp_path / "mteb" / "sample.json")
    rows = {r["hf_subset"]: r for r in found.scores["test"]}
    assert len(rows) == 8 + 56 + 8
    assert rows["cross-lingual-sw-en"]["languages"] == ["swa-Latn", "eng-Latn"]
    mono = [r["main_score"] for name, r in rows.items() if name.startswith("monolingual")]
    assert np.mean(mono) == pytest.approx(result.value("sample", "monolingual", "nDCG@10"))
