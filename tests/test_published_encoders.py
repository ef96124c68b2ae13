"""studies/encoders.toml runs to its end on tiny models in the form of the published ones.

The models lie in a hub of this test under their published names, so the study's file is used as it
is, but for its tasks and the texts of its fits.
"""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from studies import jina_v3
from tests.hub_server import TOKEN, Repository

from architectures import ARCHITECTURES, BERT, Architecture, write_model
from mixling.corpora.folder import write_folder
from mixling.corpora.sample import read_sample
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.studies.plan import read_study
from mixling.studies.study import study

FILE = Path(__file__).parent.parent / "studies" / "encoders.toml"
QWEN = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)
# prompts and special forms of the publications; what is not named is as in `ARCHITECTURES`
E5_SMALL = Architecture(BERT, "xlm-r", "mean_tokens", ("normalize",), heads=("pooler",))
GRANITE = dataclasses.replace(
    ARCHITECTURES["granite-embedding-r2"], tokenizer="gemma", prompts={"query": "", "document": ""}
)
PUBLISHED = {
    "intfloat/multilingual-e5-small": E5_SMALL,
    "intfloat/multilingual-e5-base": ARCHITECTURES["multilingual-e5-base"],
    "intfloat/multilingual-e5-large": ARCHITECTURES["multilingual-e5-base"],
    "BAAI/bge-m3": ARCHITECTURES["bge-m3"],
    "sentence-transformers/LaBSE": ARCHITECTURES["LaBSE"],
    "alibaba-nlp-community/gte-multilingual-base": ARCHITECTURES["gte-multilingual-base"],
    "Qwen/Qwen3-Embedding-0.6B": dataclasses.replace(
        ARCHITECTURES["Qwen3-Embedding-0.6B"], prompts={"query": QWEN, "document": ""}
    ),
    "google/embeddinggemma-300m": ARCHITECTURES["embeddinggemma-300m"],
    "ibm-granite/granite-embedding-97m-multilingual-r2": GRANITE,
    "ibm-granite/granite-embedding-311m-multilingual-r2": GRANITE,
}
# prompts of query and passage, pooling, number of dimensions
USE = {
    "intfloat/multilingual-e5-small": ("query: ", "passage: ", "mean"),
    "intfloat/multilingual-e5-base": ("query: ", "passage: ", "mean"),
    "intfloat/multilingual-e5-large": ("query: ", "passage: ", "mean"),
    "BAAI/bge-m3": ("", "", "cls"),
    "sentence-transformers/LaBSE": ("", "", "cls"),
    "alibaba-nlp-community/gte-multilingual-base": ("", "", "cls"),
    "Qwen/Qwen3-Embedding-0.6B": (QWEN, "", "lasttoken"),
    "google/embeddinggemma-300m": (
        "task: search result | query: ",
        "title: none | text: ",
        "mean",
    ),
    "ibm-granite/granite-embedding-97m-multilingual-r2": ("", "", "cls"),
    "ibm-granite/granite-embedding-311m-multilingual-r2": ("", "", "cls"),
}
GATED = "google/embeddinggemma-300m"


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def publish(hub, tmp_path, monkeypatch):
    """Put a model into the hub of this test: publish(name, architecture, without=(), **config)."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub._hf_api", None)  # of the test before
    monkeypatch.setenv("DISABLE_SAFETENSORS_CONVERSION", "1")  # asks the hub in a thread

    def put(name, architecture, without=(), **config):
        folder = write_model(tmp_path / "published" / name, architecture)
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
        for file in without:
            (folder / file).unlink()
        hub.repositories[name] = Repository(files_of(folder))
        return folder

    return put


@pytest.fixture
def jina(publish, hub, monkeypatch):
    """jina-embeddings-v3-hf: the model, and an adapter for each role in a folder of its own."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    folder = publish(jina_v3.MODEL, ARCHITECTURES["jina-embeddings-v3-hf"])
    for seed, name in enumerate(jina_v3.ADAPTERS.values()):
        torch.manual_seed(seed)
        model = AutoModel.from_pretrained(folder, dtype=torch.float32)
        targets = ["q_proj", "k_proj", "v_proj"]
        adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=4, target_modules=targets))
        for key, weight in adapted.named_parameters():
            if "lora_" in key:
                weight.data = 0.3 * torch.randn_like(weight)
        adapted.save_pretrained(folder / name)
    hub.repositories[jina_v3.MODEL] = Repository(files_of(folder))
    jina_v3.load.cache_clear()
    yield folder
    jina_v3.load.cache_clear()


def shortened(folder):
    """Write the study's file with a few texts as its task and for its fits, and five steps."""
    data = folder / "texts"
    write_folder(read_sample("test").select(languages=["en", "de"]), data)
    text = FILE.read_text()
    text = re.sub(r"^tasks = .*$", f'tasks = ["{data}"]', text, flags=re.MULTILINE)
    text = re.sub(r"^fit = .*$", f'fit = ["{data}"]', text, flags=re.MULTILINE)
    text = re.sub(r"^languages = .*$", "", text, flags=re.MULTILINE)
    text = text.replace('method = "trained"', 'method = "trained"\nsteps = 5\nsize = 64')
    (folder / "encoders.toml").write_text(text)
    return folder / "encoders.toml"


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_encoder_is_used_as_it_was_trained(name, publish):
    # e5 publishes no prompts: they are known by its name
    without = ["config_sentence_transformers.json"] if "e5" in name else []
    publish(name, PUBLISHED[name], without)
    settings = Retriever(name, device="cpu").settings
    found = (settings.query_prompt.value, settings.passage_prompt.value, settings.pooling.value)
    assert found == USE[name] and settings.similarity.value == "cosine"


def test_the_study_names_the_encoders_that_are_replicated_here():
    plan = read_study(FILE)
    models = {v.model for v in plan.variants}
    assert models == {*PUBLISHED, "python:studies.jina_v3:encode"}
    assert not any(v.train for v in plan.variants)
    assert {v.against for v in plan.variants if v.debias} == {
        v.name for v in plan.variants if not v.debias
    }


def test_the_study_that_the_guide_shows_can_be_read(tmp_path):
    page = (FILE.parent.parent / "docs" / "guides" / "studies.md").read_text()
    file = tmp_path / "encoders-of-mine.toml"
    file.write_text(re.search(rf"# {file.name}\n.*?(?=```)", page, re.DOTALL)[0])
    first, second = read_study(file).variants
    assert second.debias["method"] == "lsar" and second.against == first.name


@pytest.mark.slow
def test_the_study_runs_to_its_end_and_a_gated_model_costs_its_own_rows(
    publish, jina, hub, tmp_path, run, monkeypatch
):
    for name, architecture in PUBLISHED.items():
        publish(name, architecture)
    hub.repositories[GATED].gated = True
    file = shortened(tmp_path)
    names = [v.name for v in read_study(file).variants]
    status, out, _ = run("study", file, "--out", tmp_path / "runs")
    gated = [n for n in names if n.startswith("embeddinggemma")]
    result = json.loads(file.with_suffix(".json").read_text())
    assert status == 1 and not result["complete"]
    assert [r["variant"] for r in result["runs"]] == [n for n in names if n not in gated]
    assert [r["variant"] for r in result["failed"]] == gated and len(gated) == 5
    lines = [x for x in out.splitlines() if "gated" in x]
    assert len(lines) == 1 and f"/{GATED}" in lines[0] and "HF_TOKEN" in lines[0]
    # only what failed is measured by the next call
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    measured = []
    whole = study.__globals__["evaluate"]
    monkeypatch.setitem(
        study.__globals__, "evaluate", lambda m, *a, **k: measured.append(m) or whole(m, *a, **k)
    )
    complete = study(file, tmp_path / "runs")
    assert complete.complete and len(measured) == 5
    assert [t["variant"] for t in complete.table] == names
    assert all(np.isfinite(t["multilingual.mAP"]) for t in complete.table)
    assert all("bias.intrusion@10" in t for t in complete.table)
    # each transform is tested against its own model, and moves its vectors
    tested = complete.tested["texts"]
    by_name = {t["variant"]: t for t in complete.table}
    for name in ("bge-m3", "jina-embeddings-v3"):
        changes = tested[f"{name}, LSAR"]["multilingual.rank_distance"]
        before, after = (by_name[n]["multilingual.rank_distance"] for n in (name, f"{name}, LSAR"))
        assert changes["difference"] == pytest.approx(after - before, abs=1e-6)
        assert before != after


def test_a_gated_model_is_refused_with_its_page_and_the_token(publish, hub, monkeypatch):
    publish(GATED, PUBLISHED[GATED])
    hub.repositories[GATED].gated = True
    page = re.escape(f"{hub.address}/{GATED}")
    with pytest.raises(MixlingError, match=rf"^{GATED}: .* gated, and no token is set.*{page}"):
        Retriever(GATED, device="cpu")
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(MixlingError, match="gated, and the token that is set has no access"):
        Retriever(GATED, device="cpu")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert Retriever(GATED, device="cpu").dimensions == 32


def test_jina_v3_takes_the_adapter_of_each_role(jina):
    from peft import PeftModel
    from transformers import AutoModel, AutoTokenizer

    texts = ["How do cranes find their way?", "鶴はどこで冬を越すか"]
    tokenizer = AutoTokenizer.from_pretrained(jina)
    found = {}
    for role in ("query", "passage", "query"):  # the first role once more, after the other
        base = AutoModel.from_pretrained(jina, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, jina / jina_v3.ADAPTERS[role]).merge_and_unload()
        expected = []
        for text in texts:  # one by one: without padding
            inputs = tokenizer(jina_v3.PROMPTS[role] + text, return_tensors="pt")
            with torch.no_grad():
                mean = model.eval()(**inputs).last_hidden_state[0].mean(0)
            expected.append((mean / mean.norm()).numpy())
        found[role] = jina_v3.encode(texts, role)
        assert np.abs(found[role] - np.stack(expected)).max() < 1e-5
    assert np.abs(found["query"] - found["passage"]).max() > 0.01


def test_a_jina_v3_whose_adapter_lacks_weights_is_refused(jina, hub):
    """transformers puts random weights in their place, and only warns."""
    path = jina / "retrieval_query" / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({k: v for k, v in weights.items() if "layers.1." not in k}, path)
    hub.repositories[jina_v3.MODEL] = Repository(files_of(jina))
    with pytest.raises(MixlingError, match=r"retrieval_query lacks 6 weights.*layers\.1\."):
        jina_v3.encode(["a"], "query")


def test_the_first_repository_of_gte_is_refused_by_its_class(publish):
    """Alibaba-NLP/gte-multilingual-base: `new` is no architecture of transformers."""
    name = "Alibaba-NLP/gte-multilingual-base"
    classes = {
        "AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig",
        "AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel",
    }
    publish(name, ARCHITECTURES["gte-multilingual-base"], model_type="new", auto_map=classes)
    with pytest.raises(MixlingError, match=rf"^{name}: .*NewModel.*--trust-remote-code"):
        Retriever(name, device="cpu")


JINA_CODE = """
import torch


class Transformer(torch.nn.Module):
    def __init__(self, folder, **options):
        super().__init__()

    @classmethod
    def load(cls, folder, **options):
        return cls(folder)

    def forward(self, features, task=None):
        return features
"""


def test_the_first_repository_of_jina_v3_is_refused_with_and_without_its_code(publish, hub):
    """jinaai/jina-embeddings-v3: the first module is a class of custom_st.py."""
    name = "jinaai/jina-embeddings-v3"
    classes = {"AutoModel": "jinaai/xlm-roberta-flash-implementation--modeling_lora.XLMRobertaLoRA"}
    config = {"model_type": "xlm-roberta", "auto_map": classes}
    folder = publish(name, ARCHITECTURES["jina-embeddings-v3-hf"], **config)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "custom_st.py").write_text(JINA_CODE)
    hub.repositories[name] = Repository(files_of(folder))
    with pytest.raises(MixlingError, match=rf"^{name}: .*Transformer in custom_st\.py.*--trust-"):
        Retriever(name, device="cpu")
    # its code runs, but Mixling would leave out the adapters
    expected = r"begins with [\w.]*custom_st\.Transformer\. .*encode with sentence-transformers"
    with pytest.raises(MixlingError, match=expected):
        Retriever(str(folder), device="cpu", trust_remote_code=True)
