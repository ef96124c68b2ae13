"""Every model is used as it was trained, or refused with a reason, and a line says how.

The replicas are tiny random models with the file names, the settings and the prompts of published
ones.
"""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

import mixling
from architectures import ARCHITECTURES, write_model
from mixling.corpora.values import TITLES
from mixling.encoding.vectors import encode_cached
from mixling.errors import MixlingError
from mixling.models import hub_cache
from mixling.models.prompts import DEFAULT_TASK
from mixling.models.retriever import Retriever

TEXTS = ["How do cranes find their way?", "Pomboo hulala kwa nusu moja ya ubongo", "鶴はどこで"]
NAMES = ["Cranes", "Pomboo", None]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
E5 = {"query": "query: ", "passage": "passage: "}
WEB_SEARCH = f"Instruct: {DEFAULT_TASK}\nQuery:"
GEMMA = {
    "query": "task: search result | query: ",
    "document": "title: none | text: ",
    "BitextMining": "task: search result | query: ",
    "Clustering": "task: clustering | query: ",
    "InstructionRetrieval": "task: code retrieval | query: ",
    "Retrieval-query": "task: search result | query: ",
    "Retrieval-document": "title: none | text: ",
    "STS": "task: sentence similarity | query: ",
}
NOMIC = {
    "query": "search_query: ",
    "passage": "search_document: ",
    "Classification": "classification: ",
    "Clustering": "clustering: ",
}
JINA = {
    "retrieval.query": "Represent the query for retrieving evidence documents: ",
    "retrieval.passage": "Represent the document for retrieval: ",
    "separation": "",
    "classification": "",
    "text-matching": "",
}
# architecture, prompts of the files, prompts of query and passage, pooling, form of titles
PUBLISHED = {
    "Qwen3-Embedding-0.6B": (
        "Qwen3-Embedding-0.6B", {"query": WEB_SEARCH, "document": ""}, (WEB_SEARCH, ""),
        "lasttoken", TITLES,
    ),
    "embeddinggemma-300m": (
        "embeddinggemma-300m", GEMMA, (GEMMA["query"], GEMMA["document"]), "mean",
        "title: {title} | text: {text}",
    ),
    "nomic-embed-text-v1.5": (
        "nomic-embed-text-v1.5", NOMIC, ("search_query: ", "search_document: "), "mean", TITLES,
    ),
    "jina-embeddings-v3-hf": (
        "jina-embeddings-v3-hf", JINA, (JINA["retrieval.query"], JINA["retrieval.passage"]),
        "mean", TITLES,
    ),
    "snowflake-arctic-embed-l-v2.0": (
        "snowflake-arctic-embed-l-v2.0", {"query": "query: "}, ("query: ", ""), "cls", TITLES,
    ),
    "bge-m3": ("bge-m3", {}, ("", ""), "cls", TITLES),
    "stella": (
        "bge-m3", {"s2p_query": f"{WEB_SEARCH} ", "s2s_query": "Instruct: …\nQuery: "},
        (f"{WEB_SEARCH} ", ""), "cls", TITLES,
    ),
    "e5-mistral-7b-instruct": (
        "e5-mistral-7b-instruct",
        {"web_search_query": f"{WEB_SEARCH} ", "sts_query": "Instruct: …\nQuery: "},
        (f"{WEB_SEARCH} ", ""), "lasttoken", TITLES,
    ),
}  # fmt: skip


def replica(folder, architecture, prompts, config=None):
    """Write a model in its published form, with these prompts."""
    write_model(folder, dataclasses.replace(ARCHITECTURES[architecture], prompts=prompts))
    change(folder / "config.json", **(config or {}))
    return folder


def change(path, **values):
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


@pytest.fixture
def e5(tmp_path):
    """multilingual-e5: a chain whose files name no prompts."""
    folder = replica(tmp_path / "files", "multilingual-e5-base", {})
    (folder / "config_sentence_transformers.json").unlink()
    return folder


def into_cache(monkeypatch, root, folder, name, absent=(), without=()):
    """Put a model into a cache of the hub as programs that fetch single files do."""
    repository = root / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    for path in without:
        shutil.rmtree(snapshot / path) if (snapshot / path).is_dir() else (snapshot / path).unlink(
            missing_ok=True
        )
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for path in absent:
        marker = repository / ".no_exist" / COMMIT / path
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root / "hub"))
    return snapshot


def prompts_of(model):
    return model.settings.query_prompt.value, model.settings.passage_prompt.value


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_used_as_sentence_transformers_does(name, tmp_path):
    from sentence_transformers import SentenceTransformer

    architecture, files, prompts, pooling, form = PUBLISHED[name]
    folder = replica(tmp_path / "m", architecture, files)
    model = Retriever(str(folder), device="cpu")
    print(f"{name}: {model.settings.line()}")
    assert prompts_of(model) == prompts == (model.prompt("query"), model.prompt("passage"))
    assert model.settings.pooling.value == pooling and model.settings.titles.value == form
    assert model.settings.similarity.value == "cosine"
    theirs = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    query, document = theirs.encode_query, theirs.encode_document
    if files.get("query") is None:  # names that encode_query does not know
        assert (
            np.abs(model.encode(TEXTS, "query") - theirs.encode(TEXTS, prompt=prompts[0])).max()
            < 1e-5
        )
        assert (
            np.abs(model.encode(TEXTS, "passage") - theirs.encode(TEXTS, prompt=prompts[1])).max()
            < 1e-5
        )
        return
    assert np.abs(model.encode(TEXTS, "query") - query(TEXTS)).max() < 1e-5
    passages = (
        theirs.encode(TEXTS, prompt=prompts[1]) if "document" not in files else document(TEXTS)
    )
    assert np.abs(model.encode(TEXTS, "passage") - passages).max() < 1e-5


@pytest.mark.parametrize("name", ["bge-m3", "Qwen3-Embedding-0.6B", "embeddinggemma-300m"])
def test_two_loads_give_equal_vectors(name, tmp_path):
    folder = str(write_model(tmp_path / "m", ARCHITECTURES[name]))
    one, two = (Retriever(folder, device="cpu").encode(TEXTS, "passage") for _ in range(2))
    assert (one == two).all()


def test_e5_by_its_hub_name_has_its_conventions(e5, tmp_path, monkeypatch):
    name = "intfloat/multilingual-e5-base"
    into_cache(monkeypatch, tmp_path, e5, name, absent=["config_sentence_transformers.json"])
    model = Retriever(name, device="cpu")
    assert prompts_of(model) == ("query: ", "passage: ")
    assert model.settings.query_prompt.source == "known conventions"
    assert model.settings.pooling == model.settings.pooling.__class__("mean", "model's files")


@pytest.mark.parametrize("name", ["intfloat/e5-base-v2", "intfloat/e5-small", "intfloat/e5-large"])
def test_english_e5_has_the_prompts_too(name, e5, tmp_path, monkeypatch):
    into_cache(monkeypatch, tmp_path, e5, name, absent=["config_sentence_transformers.json"])
    assert prompts_of(Retriever(name, device="cpu")) == ("query: ", "passage: ")


def test_e5_instruct_has_an_instruction_for_queries_and_nothing_for_passages(
    e5, tmp_path, monkeypatch
):
    name = "intfloat/multilingual-e5-large-instruct"
    into_cache(monkeypatch, tmp_path, e5, name, absent=["config_sentence_transformers.json"])
    assert prompts_of(Retriever(name, device="cpu")) == (f"{WEB_SEARCH} ", "")
    task = "Given a claim, find passages that refute it"
    model = Retriever(name, device="cpu", task_description=task)
    assert prompts_of(model) == (f"Instruct: {task}\nQuery: ", "")
    assert model.settings.query_prompt.source == "option"


def test_a_task_description_needs_an_instruction(e5, tmp_path):
    folder = replica(tmp_path / "q", "Qwen3-Embedding-0.6B", {"query": WEB_SEARCH})
    model = Retriever(str(folder), device="cpu", task_description="Find the code")
    assert model.prompt("query") == "Instruct: Find the code\nQuery:"
    with pytest.raises(MixlingError, match="--query-prompt"):
        Retriever(str(e5), task_description="Find the code")
    with pytest.raises(MixlingError, match="empty"):
        Retriever(str(folder), task_description=" ")


EVIDENCE = {
    "config.json": lambda f: change(
        f / "config.json", _name_or_path="intfloat/multilingual-e5-base"
    ),
    "README.md": lambda f: (f / "README.md").write_text(
        "---\nbase_model: intfloat/multilingual-e5-base\ntags:\n- x\n---\n# Fine-tuned\n"
    ),
    "README.md (list)": lambda f: (f / "README.md").write_text(
        "---\nbase_model:\n- intfloat/multilingual-e5-base\n---\n"
    ),
    "origin.json": lambda f: (f / "origin.json").write_text(
        json.dumps({"base": "/models/multilingual-e5-base"})
    ),
}


@pytest.mark.parametrize("place", EVIDENCE)
def test_prompts_of_a_copy_or_a_fine_tuned_model_are_those_of_the_base_model(place, e5):
    EVIDENCE[place](e5)
    model = Retriever(str(e5), device="cpu")
    print(model.settings.line())
    assert prompts_of(model) == ("query: ", "passage: ")
    source = model.settings.passage_prompt.source
    assert source.startswith("inferred from base model ") and place.split()[0] in source


def test_a_copy_is_known_by_its_folder_and_a_stranger_has_no_prompts(e5, tmp_path):
    stranger = Retriever(str(e5), device="cpu")
    print(stranger.settings.line())
    assert prompts_of(stranger) == ("", "") and "no prompts [none in the files]" in (
        stranger.settings.line()
    )
    copy = shutil.copytree(e5, tmp_path / "multilingual-e5-base")
    assert prompts_of(Retriever(str(copy), device="cpu")) == ("query: ", "passage: ")
    (copy / "README.md").write_text("---\nbase_model: someone/else\n---\n")
    other = Retriever(str(copy), device="cpu")
    assert prompts_of(other) == ("", "") and "someone/else are unknown" in other.settings.line()


def test_prompts_of_the_files_come_before_those_of_the_base_model(e5):
    change_to = {"prompts": {"query": "frage: "}}
    (e5 / "config_sentence_transformers.json").write_text(json.dumps(change_to))
    EVIDENCE["config.json"](e5)
    assert prompts_of(Retriever(str(e5), device="cpu")) == ("frage: ", "")


def test_a_plain_copy_of_mdpr_is_pooled_as_mdpr(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "m")
    default = Retriever(str(folder), device="cpu")
    assert default.settings.pooling.source == "default; the files name none"
    change(folder / "config.json", _name_or_path="castorini/mdpr-tied-pft-msmarco")
    model = Retriever(str(folder), device="cpu")
    assert (model.settings.pooling.value, model.similarity) == ("cls", "dot")
    # pyserini and Tevatron: title, space, text
    titled = model.encode(TEXTS[:1], "passage", titles=["Cranes"])
    assert (titled == model.encode([f"Cranes {TEXTS[0]}"], "passage")).all()


def test_a_model_saved_by_mixling_keeps_its_use(e5, tmp_path):
    """Also where it has no prompts and comes from a model that has."""
    model = Retriever(str(e5), prompts={"query": "", "passage": ""}, titles="none", device="cpu")
    model.save(tmp_path / "saved", "# card", {"base": "intfloat/multilingual-e5-base"})
    again = Retriever(str(tmp_path / "saved"), device="cpu")
    assert prompts_of(again) == ("", "") and again.settings.titles.value == "none"
    assert model.settings.line().rpartition(";")[0] in (tmp_path / "saved/README.md").read_text()


def test_options_take_the_place_of_settings(e5, capsys):
    model = Retriever(
        str(e5),
        device="cpu",
        pooling="max",
        prompts={"query": "q: "},
        max_length=9,
        similarity="dot",
        titles="none",
        truncate_dim=8,
    )
    settings = model.settings.to_dict()
    options = {"pooling", "query_prompt", "max_length", "similarity", "titles", "dimensions"}
    assert {k for k, v in settings.items() if v["source"] == "option"} == options
    assert model.encode(TEXTS).shape == (3, 8) and model.similarity == "dot"
    assert max(map(len, model.tokenize(TEXTS))) == 9
    with pytest.raises(MixlingError, match="'answer'"):
        Retriever(str(e5), prompts={"answer": "a: "})
    with pytest.raises(MixlingError, match="titles"):
        Retriever(str(e5), titles="before")


def test_another_pooling_leaves_the_prompts_of_the_files(tmp_path):
    folder = replica(tmp_path / "m", "snowflake-arctic-embed-l-v2.0", {"query": "query: "})
    model = Retriever(str(folder), pooling="mean", device="cpu")
    assert prompts_of(model) == ("query: ", "") and model.settings.pooling.source == "option"


# titles


def test_titles_fill_the_prompt_of_embedding_gemma(tmp_path):
    folder = replica(tmp_path / "m", "embeddinggemma-300m", GEMMA)
    model = Retriever(str(folder), device="cpu")
    titled = model.tokenize(TEXTS, "passage", titles=NAMES)
    expected = [
        f"title: {title or 'none'} | text: {x}" for x, title in zip(TEXTS, NAMES, strict=True)
    ]
    assert titled == model.tokenize(expected)
    assert model.tokenize(TEXTS, "query", titles=None) == model.tokenize(
        [GEMMA["query"] + x for x in TEXTS]
    )
    for option, texts in (
        ("joined", [f"title: none | text: {t} {x}" if t else f"title: none | text: {x}"
                    for x, t in zip(TEXTS, NAMES, strict=True)]),
        ("none", [f"title: none | text: {x}" for x in TEXTS]),
    ):  # fmt: skip
        other = Retriever(str(folder), titles=option, device="cpu")
        assert other.tokenize(TEXTS, "passage", titles=NAMES) == model.tokenize(texts)
    with pytest.raises(MixlingError, match="1 titles for 3 texts"):
        model.encode(TEXTS, "passage", titles=["one"])


PASSAGES = [
    {"_id": "a", "text": "They fly south in autumn.", "title": "Cranes", "language": "en"},
    {"_id": "b", "text": "They fly south in autumn.", "title": "Storks", "language": "en"},
    {"_id": "c", "text": "Sie schlafen im Wasser.", "language": "de"},
]


@pytest.fixture
def data(tmp_path):
    """A folder with titles."""
    folder = tmp_path / "data"
    folder.mkdir()

    def write(name, rows):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("corpus.jsonl", PASSAGES)
    write("queries.jsonl", [{"_id": "q", "text": "When do cranes leave?", "language": "en"}])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")
    return folder


@pytest.mark.parametrize("option", ["model", "none"])
def test_every_command_reads_titles_in_the_same_way(option, data, tmp_path):
    from mixling.encoding.read_vectors import list_shards
    from mixling.searching.stores import open_store

    folder = str(replica(tmp_path / "m", "embeddinggemma-300m", GEMMA))
    model = Retriever(folder, titles=option, device="cpu")
    form = "title: {title} | text: {text}" if option == "model" else "none"
    texts, titles = ([row.get(k) for row in PASSAGES] for k in ("text", "title"))
    expected = model.encode(texts, "passage", titles=titles, precision="fp32")
    assert np.allclose(expected[0], expected[1]) == (option == "none")
    cache = tmp_path / "cache"
    for _ in range(2):
        made, _ = encode_cached(model, texts, "passage", titles=titles, folder=cache)
        assert np.allclose(made, expected, atol=1e-6)
    bare, tokens = encode_cached(model, texts, "passage", folder=cache)
    assert np.allclose(bare, model.encode(texts, "passage"), atol=1e-6)
    assert (tokens == 0) == (option == "none")  # what is cached without a title is another text
    mixling.encode(model, data, tmp_path / "v", precision="fp32")
    shards = next(list_shards(tmp_path / "v"))
    assert np.allclose(np.stack(shards["vector"].to_numpy()), expected, atol=1e-5)
    manifest = json.loads((tmp_path / "v" / "manifest.json").read_text())
    assert manifest["titles"] == {"form": form, "texts": 2}
    mixling.index(model, data, str(tmp_path / "s"), precision="fp32")
    store = open_store(str(tmp_path / "s"))
    stored = np.stack(store.table.to_arrow().sort_by("document")["vector"].to_numpy())
    assert np.allclose(stored, expected, atol=1e-5) and store.info["titles"] == form
    result = mixling.evaluate(
        folder, [str(data)], model_options=model.options, vector_cache=tmp_path / "cache"
    )
    entry = next(iter(result.summary["tasks"].values()))
    assert entry["titles"] == {"form": form, "passages": 2}
    assert result.summary["settings"] == model.settings.to_dict()
    other = Retriever(folder, titles="joined", device="cpu")
    with pytest.raises(MixlingError, match="titles"):
        mixling.index(other, data, str(tmp_path / "other"), vectors=tmp_path / "v")
    with pytest.raises(MixlingError, match="titles"):
        mixling.index(other, data, str(tmp_path / "s"))
    with pytest.raises(MixlingError, match="titles"):
        mixling.encode(other, data, tmp_path / "v")


def test_training_reads_titles_as_the_model_does(data, tmp_path):
    from mixling.corpora.folder import write_folder
    from mixling.corpora.sample import read_sample
    from mixling.training.load_config import load_config
    from mixling.training.objective import Objective
    from mixling.training.tokenized import tokenize_batch
    from mixling.training.training_data import load_training_data

    model = Retriever(str(replica(tmp_path / "m", "embeddinggemma-300m", GEMMA)), device="cpu")
    pairs = read_sample("all")
    names = pa.array([f"Bird {i}" for i in range(len(pairs.passages))])
    titled = pairs.passages.set_column(pairs.passages.column_names.index("title"), "title", names)
    write_folder(dataclasses.replace(pairs, passages=titled), tmp_path / "titled")
    for titles in (True, False):
        config = load_config(
            {
                "data": {
                    "sources": [{"name": "titled", "path": str(tmp_path / "titled")}],
                    "titles": titles,
                },
                "model": {"name": model.name},
                "batches": {"size": 2},
                "training": {"steps": 1, "device": "cpu"},
            }
        )
        texts = load_training_data(config).texts
        batch = texts.batch(texts.schedule.plan(0))
        read = tokenize_batch(config, model, Objective(config, model), texts, 0).tokens
        expected = [
            f"title: {title or 'none'} | text: {text}"
            for title, text in zip(batch.passage_titles, batch.passages, strict=True)
        ]
        assert read[2:4] == model.tokenize(expected, None, config.model.max_passage_length)
        assert all(bool(title) == titles for title in batch.passage_titles)
    model = mixling.train(config.model_dump(mode="json"), tmp_path / "run")
    assert Retriever(str(model), device="cpu").settings.titles.value == "none"


def test_late_interaction_leaves_out_the_prompt_before_a_title(tmp_path):
    from mixling.encoding.late import token_vectors

    model = Retriever(str(replica(tmp_path / "m", "embeddinggemma-300m", GEMMA)), device="cpu")
    _, begins = token_vectors(model, TEXTS[:1] * 2, "passage", titles=["Cranes", None])
    inner = [len(model.tokenize([x])[0]) - 2 for x in (f"Cranes | text: {TEXTS[0]}", TEXTS[0])]
    assert np.abs(np.diff(begins) - inner).max() <= 1  # a space at the edge of the prompt


# files that are missing


def test_a_part_of_a_repository_is_refused_where_the_rest_is_unknown(tmp_path, monkeypatch):
    folder = replica(tmp_path / "files", "Qwen3-Embedding-0.6B", {"query": WEB_SEARCH})
    name = "Qwen/Qwen3-Embedding-0.6B"
    others = ["modules.json", "1_Pooling", "2_Normalize", "config_sentence_transformers.json"]
    into_cache(monkeypatch, tmp_path, folder, name, without=others)
    with pytest.raises(MixlingError, match=r"modules\.json.*hf download Qwen/Qwen3") as error:
        Retriever(name, device="cpu")
    print(error.value)
    named = Retriever(name, pooling="lasttoken", device="cpu")
    assert named.settings.pooling.source == "option"


def test_a_plain_encoder_is_known_by_the_cache(plain, tmp_path, monkeypatch):
    into_cache(monkeypatch, tmp_path, plain, "someone/plain", absent=["modules.json"])
    assert Retriever("someone/plain", device="cpu").settings.pooling.value == "mean"


@pytest.mark.parametrize("listed", [True, False])
def test_a_repository_that_was_fetched_as_a_whole_has_no_other_files(
    listed, plain, tmp_path, monkeypatch
):
    snapshot = into_cache(monkeypatch, tmp_path, plain, "someone/plain")
    if listed:
        tree(snapshot, [p.name for p in snapshot.iterdir()])
    else:
        (snapshot / ".gitattributes").touch()
    assert Retriever("someone/plain", device="cpu").settings.pooling.value == "mean"


def tree(snapshot, files):
    """Write the listing that `hf download` leaves in the cache."""
    from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

    entries = {f: TreeCacheEntry(size=1, blob_id="0" * 40) for f in files}
    write_tree_cache(str(snapshot.parent.parent), COMMIT, entries)


@pytest.mark.parametrize(
    "lost", ["modules.json", "1_Pooling/config.json", "config_sentence_transformers.json"]
)
def test_a_file_that_the_repository_has_is_not_missing_in_silence(lost, tmp_path, monkeypatch):
    folder = replica(tmp_path / "files", "Qwen3-Embedding-0.6B", {"query": WEB_SEARCH})
    files = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
    name = "Qwen/Qwen3-Embedding-0.6B"
    snapshot = into_cache(monkeypatch, tmp_path, folder, name, without=[lost])
    tree(snapshot, files)
    with pytest.raises(MixlingError, match=f"used: {lost}. Fetch .*: hf download {name}") as error:
        Retriever(name, device="cpu")
    print(error.value)

    def fetch(repository, file, revision):
        assert (repository, revision) == (name, COMMIT)
        shutil.copy(folder / file, snapshot / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr(hub_cache, "_hub_listing", lambda *_: set(files))
    model = Retriever(name, device="cpu")
    assert prompts_of(model) == (WEB_SEARCH, "") and model.settings.pooling.value == "lasttoken"


@pytest.mark.parametrize("lost", ["1_Pooling/config.json", "2_Dense/config.json"])
def test_a_folder_that_lacks_a_modules_settings_is_refused(lost, tmp_path):
    folder = write_model(tmp_path / "m", ARCHITECTURES["LaBSE"])
    (folder / lost).unlink()
    with pytest.raises(
        MixlingError, match=f"settings of this module are missing: .*{lost}"
    ) as error:
        Retriever(str(folder), device="cpu")
    print(error.value)


def test_a_plain_decoder_is_not_pooled_by_a_guess(tmp_path):
    folder = write_model(tmp_path / "m", ARCHITECTURES["Qwen3-Embedding-0.6B"])
    (folder / "modules.json").unlink()
    with pytest.raises(MixlingError, match="--pooling lasttoken") as error:
        Retriever(str(folder), device="cpu")
    print(error.value)
    assert Retriever(str(folder), pooling="lasttoken", device="cpu").dimensions == 32
    encoder = write_model(tmp_path / "e", ARCHITECTURES["bge-m3"])
    (encoder / "modules.json").unlink()
    assert Retriever(str(encoder), device="cpu").settings.pooling.value == "mean"


def test_another_owners_model_has_no_conventions_by_its_name(e5, tmp_path, monkeypatch):
    name = "someone/multilingual-e5-base"
    into_cache(monkeypatch, tmp_path, e5, name, absent=["config_sentence_transformers.json"])
    assert prompts_of(Retriever(name, device="cpu")) == ("", "")


def test_a_part_of_a_fine_tuned_model_is_refused_though_its_base_is_known(
    e5, tmp_path, monkeypatch
):
    EVIDENCE["config.json"](e5)
    into_cache(monkeypatch, tmp_path, e5, "someone/tuned", without=["modules.json", "1_Pooling"])
    with pytest.raises(MixlingError, match="hf download someone/tuned"):
        Retriever("someone/tuned", device="cpu")


def test_a_pooling_that_may_be_missing_is_asked_for(tmp_path, monkeypatch):
    folder = replica(tmp_path / "files", "Qwen3-Embedding-0.6B", {"query": WEB_SEARCH})
    into_cache(monkeypatch, tmp_path, folder, "someone/q", without=["1_Pooling"])
    with pytest.raises(MixlingError, match=r"1_Pooling/config\.json.*hf download someone/q"):
        Retriever("someone/q", device="cpu")


def test_a_known_plain_encoder_needs_no_listing(plain, tmp_path, monkeypatch):
    name = "castorini/mdpr-tied-pft-msmarco"
    into_cache(monkeypatch, tmp_path, plain, name)
    model = Retriever(name, device="cpu")
    assert (model.settings.pooling.value, model.similarity) == ("cls", "dot")
    assert model.settings.pooling.source == "known conventions"


# code of the model's own


def test_code_is_refused_by_class_and_file(tmp_path):
    gte = replica(
        tmp_path / "gte", "gte-multilingual-base", {},
        {"model_type": "new", "architectures": ["NewModel"], "auto_map": {
            "AutoConfig": "configuration.NewConfig", "AutoModel": "modeling.NewModel"}},
    )  # fmt: skip
    jina = replica(
        tmp_path / "jina", "bge-m3", JINA,
        {"auto_map": {"AutoModel": "jinaai/xlm-roberta-flash-implementation--modeling_lora."
                      "XLMRobertaLoRA"}},
    )  # fmt: skip
    modules = json.loads((jina / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    (jina / "modules.json").write_text(json.dumps(modules))
    nomic = replica(
        tmp_path / "nomic", "nomic-embed-text-v1.5", NOMIC,
        {"auto_map": {"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert."
                      "NomicBertModel"}},
    )  # fmt: skip
    from safetensors.torch import load_file, save_file

    weights = load_file(nomic / "model.safetensors")
    lost = {k for k in weights if ".mlp." in k}
    weights = {k: v for k, v in weights.items() if k not in lost}
    weights["encoder.layers.1.mlp.experts.mlp.w1"] = weights[next(iter(weights))].clone()
    save_file(weights, nomic / "model.safetensors", metadata={"format": "pt"})
    expected = {
        gte: ["class NewModel in modeling.py (config.json)", "--trust-remote-code"],
        jina: [
            "class Transformer in custom_st.py (modules.json)",
            "class XLMRobertaLoRA in modeling_lora.py of jinaai/xlm-roberta-flash-implementation",
            "--trust-remote-code",
        ],
        nomic: [
            "missing, and so random: layers.",
            "mlp.experts",
            "class NomicBertModel in modeling_hf_nomic_bert.py of nomic-ai/nomic-bert-2048",
            "--trust-remote-code",
        ],
    }
    for folder, parts in expected.items():
        with pytest.raises(MixlingError) as error:
            Retriever(str(folder), device="cpu")
        print(error.value)
        assert all(part in str(error.value) for part in parts), error.value


# shorter vectors


def test_vectors_are_cut_as_in_sentence_transformers(tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = str(write_model(tmp_path / "m", ARCHITECTURES["embeddinggemma-300m"]))
    model = Retriever(folder, truncate_dim=8, device="cpu")
    theirs = SentenceTransformer(folder, truncate_dim=8, device="cpu")
    assert model.dimensions == 8
    assert np.abs(model.encode(TEXTS, "query") - theirs.encode_query(TEXTS)).max() < 1e-5
    mixling.debias(model, "lsar", ["sample"], tmp_path / "fair")
    fair = Retriever(str(tmp_path / "fair"), device="cpu")
    assert fair.dimensions == 8 and fair.encode(TEXTS).shape == (3, 8)
    assert Retriever(str(tmp_path / "fair"), truncate_dim=4).encode(TEXTS).shape == (3, 4)
    for size in (0, 33):
        with pytest.raises(
            MixlingError, match=f"truncate_dim is {size}. Expected a number from 1 to 32"
        ):
            Retriever(folder, truncate_dim=size, device="cpu")


# the commands


def test_the_commands_print_the_line_and_take_the_options(e5, data, tmp_path, run):
    status, out, _ = run("doctor", e5)
    assert status == 0 and "no prompts [none in the files]" in out
    options = ("--query-prompt", "query: ", "--passage-prompt", "passage: ", "--max-length", "40")
    line = run("doctor", e5, *options)[1].strip()
    assert 'query prompt "query: " [option]' in line and "at most 40 tokens [option]" in line
    precision = ("--precision", "fp32")
    for command in (
        ("evaluate", e5, "--task", data, "--out", tmp_path / "r"),
        ("encode", e5, data, "--out", tmp_path / "v"),
        ("index", e5, data, "--store", tmp_path / "s"),
    ):
        status, _, err = run(*command, *options, *precision)
        assert status == 0 and f"mixling: {line}\n" in err, err
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["settings"]["query_prompt"] == {"value": "query: ", "source": "option"}
    hits = mixling.search(str(tmp_path / "s"), "When do cranes leave?", 3)  # with the same options
    assert len(hits) == 3
    status, _, err = run("index", e5, data, "--store", tmp_path / "s", *precision)
    assert status == 2 and "prompts" in err
    status, _, err = run("debias", "--vectors", data, "--out", tmp_path / "d", *options)
    assert status == 2 and "Leave out the options" in err


def test_a_store_gives_its_model_no_other_options(e5, data, tmp_path):
    from mixling.searching.stores import open_store

    mixling.index(str(e5), data, str(tmp_path / "s"), precision="fp32")
    store = open_store(str(tmp_path / "s"))
    for options in ({"trust_remote_code": True}, {"max_length": "9"}, ["pooling"]):
        store.write_info({**store.info, "model_options": options})
        with pytest.raises(MixlingError, match="model_options"):
            mixling.Searcher(str(tmp_path / "s"))


def test_a_search_may_have_another_task_than_the_index(data, tmp_path, run):
    folder = replica(tmp_path / "q", "Qwen3-Embedding-0.6B", {"query": WEB_SEARCH})
    mixling.index(str(folder), data, str(tmp_path / "s"), precision="fp32")
    searcher = mixling.Searcher(str(tmp_path / "s"), task_description="Find birds")
    assert searcher.retriever.prompt("query") == "Instruct: Find birds\nQuery:"
    assert len(searcher.search("crane", 2)) == 2
    status, out, _ = run("search", tmp_path / "s", "crane", "--task-description", "Find birds")
    assert status == 0 and "en" in out
