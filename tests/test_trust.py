"""Tests of models that bring code: it runs only if the user allows it, and a refusal names it."""

import json
import pickle
import shutil

import pytest
import torch
from sentence_transformers import SentenceTransformer

from mixling.errors import MixlingError
from mixling.models.language_transform import LanguageTransformModule
from mixling.models.reranker import Reranker, is_reranker
from mixling.models.retriever import Retriever
from mixling.preparation.seq2seq import Seq2SeqTranslator
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.training.base_model import load_base_model
from mixling.training.load_config import load_config


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))


@pytest.fixture
def stranger(chain, tmp_path):
    """A copy of a model's folder whose configuration names a class of stranger.py, which leaves a
    file RAN.
    """
    folder = tmp_path / "stranger"
    shutil.copytree(chain, folder)
    (folder / "stranger.py").write_text(
        f"open({str(tmp_path / 'RAN')!r}, 'w').write('x')\n"
        "from transformers import BertConfig, BertModel\n"
        "class C(BertConfig):\n    model_type = 'stranger'\n"
        "class M(BertModel):\n    config_class = C\n"
    )
    return folder


def change(path, **values):
    path.write_text(
        json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values})
    )


AUTO = {"AutoConfig": "stranger.C", "AutoModel": "stranger.M"}


@pytest.mark.parametrize("form", ["chain", "plain", "with our module"])
def test_auto_map_is_refused_by_class_and_file_and_runs_when_allowed(form, stranger, tmp_path):
    if form == "with our module":
        model = SentenceTransformer(str(stranger), device="cpu")
        model.append(LanguageTransformModule(["de", "en"], 1, 32))
        model.save(str(stranger), create_model_card=False)
    if form == "plain":
        (stranger / "modules.json").unlink()
    change(stranger / "config.json", model_type="stranger", auto_map=AUTO)
    with pytest.raises(
        MixlingError, match=r"class M in stranger\.py \(config\.json\).*--trust-remote-code"
    ):
        Retriever(str(stranger))
    assert not (tmp_path / "RAN").exists()
    allowed = Retriever(str(stranger), device="cpu", trust_remote_code=True)
    assert (tmp_path / "RAN").exists() and type(allowed.encoder).__name__ == "M"
    assert bool(allowed.language_transforms()) == (form == "with our module")


def test_a_known_architecture_loads_without_the_code_that_it_mentions_and_says_so(
    stranger, chain, tmp_path, caplog
):
    change(stranger / "config.json", auto_map=AUTO)
    change(stranger / "tokenizer_config.json", auto_map={"AutoTokenizer": ["stranger.T", None]})
    vectors = Retriever(str(stranger), device="cpu").encode(["words"], "query")
    assert "not run: class C in stranger.py (config.json); class M in stranger.py (c" in caplog.text
    assert "BertModel of transformers takes its place" in caplog.text
    assert (vectors == Retriever(str(chain), device="cpu").encode(["words"], "query")).all()
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("stranger.M", r"class M in stranger\.py \(modules\.json\)"),
        ("owner/name--stranger.M", r"class M in stranger\.py of owner/name \(modules\.json\)"),
        ("mixling.errors.MixlingError", r"class MixlingError in mixling/errors\.py"),
        ("os.system", "class system in os"),
    ],
)
def test_a_foreign_module_is_refused(reference, message, stranger, tmp_path):
    modules = json.loads((stranger / "modules.json").read_text())
    modules[-1]["type"] = reference
    (stranger / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(MixlingError, match=message):
        Retriever(str(stranger))
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        (
            "adapter_config.json",
            {"peft_type": "LORA", "megatron_config": {"a": 1}, "megatron_core": "stranger"},
            "stranger",
        ),
        ("config.json", {"attn_implementation": "owner/kernel"}, "owner/kernel"),
        (
            "sentence_bert_config.json",
            {"model_args": {"attn_implementation": "owner/kernel:f"}},
            "owner/kernel",
        ),
    ],
)
def test_code_that_libraries_run_without_asking_is_refused(
    file, values, message, stranger, tmp_path
):
    change(stranger / file, **values)
    with pytest.raises(MixlingError, match=f"{message}.*--trust-remote-code"):
        Retriever(str(stranger))
    assert not (tmp_path / "RAN").exists()


class Runs:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return exec, (f"open({str(self.canary)!r}, 'w').write('x')",)


@pytest.mark.parametrize("trusted", [False, True])
def test_pickled_weights_are_tensors_or_refused(trusted, stranger, tmp_path):
    from safetensors.torch import load_file

    expected = Retriever(str(stranger), device="cpu").encode(["words"])
    weights = load_file(stranger / "model.safetensors")
    (stranger / "model.safetensors").unlink()
    torch.save(weights, stranger / "pytorch_model.bin")
    vectors = Retriever(str(stranger), device="cpu", trust_remote_code=trusted).encode(["words"])
    assert abs(vectors - expected).max() < 1e-6
    (stranger / "pytorch_model.bin").write_bytes(pickle.dumps(Runs(tmp_path / "RAN")))
    with pytest.raises(MixlingError, match="the model cannot be loaded"):
        Retriever(str(stranger), device="cpu", trust_remote_code=trusted)
    assert not (tmp_path / "RAN").exists()


def test_rerankers_and_translators_are_models_too(stranger, tmp_path):
    (stranger / "modules.json").unlink()
    (stranger / "config_sentence_transformers.json").unlink()
    change(
        stranger / "config.json",
        model_type="strange",
        auto_map={**AUTO, "AutoModelForSeq2SeqLM": "stranger.M"},
    )
    assert not is_reranker(str(stranger))
    for load in (Reranker, Seq2SeqTranslator):
        with pytest.raises(MixlingError, match=r"class M in stranger\.py"):
            load(str(stranger))
    assert not (tmp_path / "RAN").exists()


def test_a_configuration_allows_for_the_model_that_it_trains(stranger, tmp_path):
    change(stranger / "config.json", model_type="stranger", auto_map=AUTO)
    config = {"model": {"name": str(stranger)}, "data": {"sources": ["sample"]}}
    with pytest.raises(MixlingError, match="trust_remote_code = true under"):
        load_base_model(load_config(config).model, "cpu")
    config["model"]["trust_remote_code"] = True
    assert type(load_base_model(load_config(config).model, "cpu").encoder).__name__ == "M"


def test_a_store_gives_its_model_no_rights(stranger, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"_id": "a", "text": "A bridge.", "language": "en"}\n')
    store = str(tmp_path / "store")
    index(str(stranger), tmp_path / "a.jsonl", store, precision="fp32")
    change(stranger / "config.json", model_type="stranger", auto_map=AUTO)
    with pytest.raises(MixlingError, match=r"class M in stranger\.py"):
        Searcher(store)
    assert not (tmp_path / "RAN").exists()
    assert Searcher(store, trust_remote_code=True).search("Which bridge?", 1)[0].id


def test_a_document_does_not_steer_the_terminal(chain, tmp_path, run):
    row = {
        "_id": "a",
        "text": "A \x1b[31mbridge\x07 over\x9b2J the river.",
        "title": "t\x1b]0;x\x07",
        "language": "en",
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    index(str(chain), tmp_path / "a.jsonl", str(tmp_path / "store"), precision="fp32")
    output = run("search", str(tmp_path / "store"), "bridge")[1]
    assert (
        "bridge" in output
        and not set(output) & {"\x07", "\x9b"}
        and "\x1b[31m" not in output
        and "\x1b]" not in output
    )


def test_a_corpus_does_not_steer_the_terminal(tmp_path, run):
    (tmp_path / "qrels").mkdir()
    text = "Is the \x1b[31mbridge\x07 old?"
    (tmp_path / "corpus.jsonl").write_text(
        json.dumps({"_id": "a", "text": "Yes.", "language": "en"}) + "\n"
    )
    (tmp_path / "queries.jsonl").write_text(
        json.dumps({"_id": "q", "text": text, "language": "en"}) + "\n"
    )
    (tmp_path / "qrels" / "test.tsv").write_text("q\ta\t1\n")
    output = run("data", "show", str(tmp_path))[1]
    assert "bridge" in output and not set(output) & {"\x07"} and "\x1b[31m" not in output


def test_every_command_that_loads_a_model_has_the_option(run):
    for command in (
        "evaluate",
        "encode",
        "index",
        "search",
        "serve",
        "debias",
        "mine-negatives",
        "locate-answers",
        "adapt-language",
        "translate",
        "export",
        "train",
        "study",
    ):
        assert "--trust-remo" in run(command, "--help")[1], command


def test_a_configuration_far_larger_than_its_weights_is_refused(stranger):
    change(stranger / "config.json", num_hidden_layers=10**8)
    with pytest.raises(MixlingError, match="describes a model of more than"):
        Retriever(str(stranger))


def test_pictures_of_a_report_escape_the_names_in_results():
    from mixling.reports.figures import heat_grid

    hostile = "<b>x</b>"
    picture = heat_grid([hostile], [hostile], {}, str, 1.0, hostile)
    assert "<b>" not in picture and picture.count("&lt;b&gt;") == 3
