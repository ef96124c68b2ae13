"""Cards of models and data: what the hub reads in them, without the hub."""

import pytest
from huggingface_hub import DatasetCard, ModelCard

from mixling.corpora import folder, sample
from mixling.debiasing.debias import debias
from mixling.models import card
from mixling.training.adapt_language import adapt_language
from mixling.training.train import train


def test_a_card_has_what_the_hub_wants_and_no_path(chain, tmp_path, tmp_path_factory):
    model = train(
        {
            "data": {"sources": ["sample"]},
            "model": {"name": str(chain)},
            "batches": {"size": 8},
            "training": {"steps": 1},
        },
        tmp_path / "run",
    )
    folder.write_folder(sample.read_sample("all"), tmp_path / "data")
    debias(str(chain), "lsar", [str(tmp_path / "data")], tmp_path / "debiased")
    adapt_language(
        str(chain), [sample.read_sample("all")], ["sw"], tmp_path / "adapted", steps=1, vocabulary=0
    )
    for path in (model, tmp_path / "debiased", tmp_path / "adapted" / "model"):
        text = (path / "README.md").read_text()
        assert str(tmp_path_factory.getbasetemp()) not in text
        data = ModelCard(text).data
        assert (
            data.library_name == "sentence-transformers"
            and data.pipeline_tag == "sentence-similarity"
        )
        assert "sw" in data.language and all(
            isinstance(x, str) and len(x) in (2, 3) for x in data.language
        )
        assert data.base_model is None  # a folder is no model of the hub
    assert "| method | lsar |" in (tmp_path / "debiased" / "README.md").read_text()


def test_a_hubs_model_is_named_and_norwegian_is_no_boolean():
    model_card = ModelCard(
        card.card_header("intfloat/multilingual-e5-small", ["no", "zh-Hant", "zh"], "MIT") + "# x\n"
    )
    assert model_card.data.base_model == "intfloat/multilingual-e5-small"
    assert model_card.data.language == ["no", "zh"] and model_card.data.license == "mit"


@pytest.mark.parametrize("parquet", [False, True])
def test_a_folder_of_data_is_a_data_set(tmp_path, parquet):
    import datasets

    corpus = sample.read_sample("test")
    folder.write_folder(corpus, tmp_path / "data", split="test", parquet=parquet)
    dataset_card = DatasetCard((tmp_path / "data" / "README.md").read_text())
    assert (
        dataset_card.data.language == corpus.languages()
        and dataset_card.data.task_categories == ["text-retrieval"]
    )
    for name, rows in (("corpus", corpus.passages.num_rows), ("queries", corpus.queries.num_rows)):
        path, cache = str(tmp_path / "data"), str(tmp_path / "cache")
        loaded = datasets.load_dataset(path, name, split="train", cache_dir=cache)
        assert len(loaded) == rows and {"_id", "text", "language", "group"} <= set(
            loaded.column_names
        )
