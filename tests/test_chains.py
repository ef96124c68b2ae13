"""A chain of modules gives the vectors of sentence-transformers, or is refused by name."""

import copy
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import tiny_tokenizer
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever

TEXTS = [
    "a",
    "the crane flies over the lake",
    "鶴はどこで冬を越すか",
    "Pomboo hulala kwa nusu moja " * 30,
]
SIZES = {
    "num_hidden_layers": 1,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
T5 = {"num_layers": 1, "d_model": 32, "num_heads": 4, "d_kv": 8, "d_ff": 64}
POOLINGS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


learned_tokenizer = functools.cache(tiny_tokenizer)


def encoder(folder: Path, architecture: str, limit: int | None = None, **options) -> Path:
    """A plain encoder with one layer. limit: of the tokenizer, which names none by default."""
    from transformers import AutoConfig, AutoModel

    tokenizer = copy.deepcopy(learned_tokenizer())
    tokenizer.model_max_length = limit or 10**30
    sizes = T5 if architecture == "t5" else {**SIZES, "max_position_embeddings": 140}
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        architecture,
        **{"vocab_size": len(tokenizer), "pad_token_id": 1, **sizes, **options},
    )
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoders(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return {
        name: encoder(folder / name, name) for name in ("bert", "xlm-roberta", "distilbert", "t5")
    }


def write_chain(folder: Path, modules: list, dtype=None, **options) -> Path:
    from sentence_transformers import SentenceTransformer

    shutil.rmtree(folder, ignore_errors=True)
    SentenceTransformer(modules=modules, device="cpu", **options).to(dtype or torch.float32).save(
        str(folder), create_model_card=False
    )
    return folder


def compare(folder: Path, texts=TEXTS) -> Retriever:
    """Both roles' vectors are sentence-transformers' to 1e-5 of the largest number."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    retriever = Retriever(str(folder), device="cpu")
    theirs.max_seq_length = retriever.max_length
    for role, encode in (("query", theirs.encode_query), ("passage", theirs.encode_document)):
        expected = encode(texts)
        vectors = retriever.encode(texts, role)
        assert vectors.shape == expected.shape == (len(texts), retriever.dimensions)
        assert np.abs(vectors - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    return retriever


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_chain_of_modules_gives_their_vectors_or_is_refused_for_a_known_reason(
    encoders, tmp_path, data
):
    from sentence_transformers.sentence_transformer.modules import (
        CNN,
        Dense,
        Dropout,
        LayerNorm,
        Normalize,
        Pooling,
        Transformer,
    )

    draw = data.draw
    reasons = []
    options = {
        "max_seq_length": draw(st.sampled_from([8, 100])),
        "do_lower_case": draw(st.booleans()),
    }
    modules = [Transformer(str(encoders[draw(st.sampled_from(sorted(encoders)))]), **options)]
    size = 32

    def dense(**names) -> Dense:
        nonlocal size
        input_size, size = size, draw(st.sampled_from([8, 32]))
        activation = draw(st.sampled_from([torch.nn.Tanh, torch.nn.Identity, torch.nn.ReLU]))
        return Dense(
            input_size,
            size,
            bias=draw(st.booleans()),
            activation_function=activation(),
            use_residual=draw(st.booleans()),
            **names,
        )

    if draw(st.booleans()):
        modules.append(dense(module_input_name="token_embeddings"))
    if draw(st.integers(0, 9)) == 0:
        modules.append(CNN(size, 8))
        size, _ = 24, reasons.append("CNN")
    modes = draw(st.lists(st.sampled_from(POOLINGS), min_size=1, max_size=3, unique=True))
    include_prompt = draw(st.integers(0, 4)) > 0
    modules.append(Pooling(size, tuple(modes), include_prompt=include_prompt))
    size *= len(modes)
    for name in draw(st.lists(st.sampled_from(["dense", "norm", "drop", "unit"]), max_size=3)):
        modules.append(
            {
                "dense": dense,
                "norm": lambda: LayerNorm(size),
                "drop": lambda: Dropout(0.5),
                "unit": Normalize,
            }[name]()
        )
    prompts = draw(st.sampled_from([None, {"query": "q: ", "document": "d: "}, {"query": "Q: "}]))
    similarity = draw(st.sampled_from(["cosine", "cosine", "dot", "euclidean", "manhattan"]))
    if prompts and not include_prompt:
        reasons.append("include_prompt")
    if similarity in ("euclidean", "manhattan"):
        reasons.append(similarity)
    folder = write_chain(
        tmp_path / "model",
        modules,
        dtype=draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float16])),
        prompts=prompts,
        similarity_fn_name=similarity,
        truncate_dim=draw(st.sampled_from([None, 4, 1000])),
    )
    if not reasons:
        compare(folder)
        return
    with pytest.raises(MixlingError) as refused:
        Retriever(str(folder), device="cpu")
    assert any(reason in str(refused.value) for reason in reasons)


def test_towers_by_role_and_static_embeddings_are_refused_by_name(encoders, tmp_path):
    from sentence_transformers.sentence_transformer.modules import (
        Pooling,
        Router,
        StaticEmbedding,
        Transformer,
        WordWeights,
    )

    base = [Transformer(str(encoders["bert"])), Pooling(32)]
    refused = {
        "Router": [Router.for_query_document(base, base)],
        "StaticEmbedding": [StaticEmbedding(copy.deepcopy(learned_tokenizer()), embedding_dim=8)],
        "WordWeights": [base[0], WordWeights([str(i) for i in range(1500)], {}), base[1]],
    }
    for name, modules in refused.items():
        with pytest.raises(MixlingError, match=name):
            Retriever(str(write_chain(tmp_path / name, modules)), device="cpu")


@pytest.mark.parametrize(
    "options",
    [{"query_length": 4}, {"processing_kwargs": {"text": {"max_length": 8}}}],
    ids=lambda x: next(iter(x)),
)
def test_a_transformers_setting_that_is_not_followed_is_refused_by_name(
    encoders, tmp_path, options
):
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = write_chain(
        tmp_path / "m", [Transformer(str(encoders["bert"]), **options), Pooling(32)]
    )
    with pytest.raises(MixlingError, match=next(iter(options))):
        Retriever(str(folder), device="cpu")


def test_vectors_that_depend_on_their_neighbors_are_refused(tmp_path):
    """FNet mixes padding into every token, so a text's vector differs from batch to batch."""
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    base = encoder(tmp_path / "fnet", "fnet", 100)
    with pytest.raises(MixlingError, match="depend on the texts"):
        Retriever(
            str(write_chain(tmp_path / "m", [Transformer(str(base)), Pooling(32)])), device="cpu"
        )


def test_xmod_without_a_language_is_refused_and_with_one_is_right(tmp_path):
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    for language in (None, "en"):
        base = encoder(
            tmp_path / "x", "xmod", 100, languages=["en", "de"], default_language=language
        )
        folder = write_chain(tmp_path / "m", [Transformer(str(base)), Pooling(32)])
        if language:
            compare(folder)
        else:
            with pytest.raises(MixlingError, match="cannot encode a text"):
                Retriever(str(folder), device="cpu")


def test_another_type_of_model_is_refused(encoders, tmp_path):
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(encoders["bert"]), num_labels=1, device="cpu").save(str(tmp_path / "cross"))
    with pytest.raises(MixlingError, match="CrossEncoder"):
        Retriever(str(tmp_path / "cross"), device="cpu")


@pytest.mark.parametrize(
    ("architecture", "limit"), [("xlm-roberta", 138), ("bert", 140), ("t5", 1_000_000)]
)
def test_a_text_is_cut_to_the_positions_that_the_encoder_has(encoders, architecture, limit):
    retriever = Retriever(str(encoders[architecture]), device="cpu")
    assert retriever.max_length == limit
    assert len(retriever.tokenize(["word " * 900])[0]) == min(
        limit, len(retriever.tokenizer("word " * 900)["input_ids"])
    )
    assert np.isfinite(retriever.encode(["word " * 900, "a"])).all()


def test_truncate_dim_also_cuts_the_vectors_of_a_saved_model(encoders, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    folder = write_chain(
        tmp_path / "m",
        [Transformer(str(encoders["bert"])), Pooling(32), Normalize()],
        truncate_dim=8,
    )
    retriever = compare(folder)
    retriever.save(tmp_path / "saved")
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu").encode_query(TEXTS[:2])
    assert again.shape == (2, 8)
    assert np.abs(again - retriever.encode(TEXTS[:2], "query")).max() < 1e-6


def test_prompts_of_unknown_names_are_logged(encoders, tmp_path, caplog):
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    modules = [Transformer(str(encoders["bert"])), Pooling(32)]
    compare(write_chain(tmp_path / "m", modules, prompts={"s2s_query": "x: ", "query": "q: "}))
    warnings = [x for x in caplog.messages if "s2s_query" in x]
    assert len(warnings) == 1
    assert "passage" in warnings[0]
    assert "query and" not in warnings[0]
    caplog.clear()
    compare(
        write_chain(
            tmp_path / "m",
            modules,
            prompts={"BitextMining": "x: ", "query": "q: ", "document": "d: "},
        )
    )
    assert "BitextMining" not in caplog.text


def test_of_two_names_for_a_passages_prompt_the_document_counts(encoders, tmp_path):
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    modules = [Transformer(str(encoders["bert"])), Pooling(32)]
    prompts = {"query": "q: ", "passage": "p: ", "document": "d: "}
    assert compare(write_chain(tmp_path / "m", modules, prompts=prompts)).prompt("passage") == "d: "


def test_missing_weights_are_refused_and_unused_ones_logged(encoders, tmp_path, caplog):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "m"
    shutil.copytree(encoders["bert"], folder)
    weights = load_file(folder / "model.safetensors")

    def put(tensors) -> None:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    put({k: v for k, v in weights.items() if "attention.self.key" not in k})
    with pytest.raises(MixlingError, match=r"attention\.self\.key\.weight"):
        Retriever(str(folder), device="cpu")
    put({**weights, "embeddings.word_embeddings.weight": torch.zeros(5, 32)})
    with pytest.raises(MixlingError, match=r"word_embeddings\.weight"):
        Retriever(str(folder), device="cpu")
    put(
        {
            **{k: v for k, v in weights.items() if "pooler" not in k},
            "experts.0.weight": torch.zeros(2),
        }
    )
    caplog.clear()
    Retriever(str(folder), device="cpu")
    assert "experts.0.weight" in caplog.text


def test_a_text_without_tokens_is_refused_and_no_texts_are_no_vectors(encoders, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(encoders["bert"], folder)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": None}))
    retriever = Retriever(str(folder), device="cpu")
    with pytest.raises(MixlingError, match="text 2 of 3"):
        retriever.encode(["a", "", "b"])
    assert retriever.encode([]).shape == (0, 32)


def test_a_length_below_one_and_another_similarity_are_refused(encoders):
    with pytest.raises(MixlingError, match="max_length is 0"):
        Retriever(str(encoders["bert"]), device="cpu", max_length=0)
    with pytest.raises(MixlingError, match="similarity"):
        Retriever(str(encoders["bert"]), device="cpu", similarity="euclidean")


def test_a_report_of_weights_is_visible_in_the_library_and_on_the_command_line(
    encoders, tmp_path, run, caplog
):
    """`quiet_libraries`, which the command line calls, hides no missing or unexpected weight."""
    from safetensors.torch import load_file, save_file

    (tmp_path / "t.txt").write_text("a text\n")
    weights = load_file(encoders["bert"] / "model.safetensors")
    lacking = {k: v for k, v in weights.items() if "attention.self.key" not in k}
    unexpected = {**weights, "experts.0.weight": torch.zeros(2)}
    for name, content in (("lacking", lacking), ("unexpected", unexpected)):
        shutil.copytree(encoders["bert"], tmp_path / name)
        save_file(content, tmp_path / name / "model.safetensors", metadata={"format": "pt"})

    def encode(name: str) -> tuple[int, str, str]:
        return run("encode", tmp_path / name, tmp_path / "t.txt", "-o", tmp_path / f"{name}-out")

    status, _, err = encode("lacking")
    assert status == 2 and "attention.self.key.weight" in err
    status, _, err = encode("unexpected")
    assert status == 0 and "experts.0.weight" in err
    with pytest.raises(MixlingError, match=r"attention\.self\.key\.weight"):
        Retriever(str(tmp_path / "lacking"), device="cpu")
    caplog.clear()
    Retriever(str(tmp_path / "unexpected"), device="cpu")
    assert "experts.0.weight" in caplog.text
