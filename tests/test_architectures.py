"""The popular embedding models, tiny and random, give the vectors of sentence-transformers."""

import json
import logging
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from architectures import ARCHITECTURES, TEXTS, compare, row, vectors, write_model
from mixling.debiasing.debias import debias
from mixling.errors import MixlingError
from mixling.models import onnx
from mixling.models.onnx import export_onnx
from mixling.models.reranker import Reranker
from mixling.models.retriever import Retriever
from mixling.models.stored import find_adapters


@pytest.fixture
def write(tmp_path):
    """Write a model of `ARCHITECTURES`; return its folder."""
    return lambda name: write_model(tmp_path / "model", ARCHITECTURES[name])


def change_weights(folder, change) -> None:
    path = folder / "model.safetensors"
    if path.exists():
        save_file(change(load_file(path)), path, metadata={"format": "pt"})
    else:
        path = folder / "pytorch_model.bin"
        torch.save(change(torch.load(path)), path)


def change_config(folder, **values) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_vectors_are_those_of_sentence_transformers(name, write, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "mixling")
    comparison = compare(write(name), tmp_path / "saved")
    print(row(name, comparison))  # pytest -s shows the table
    architecture = ARCHITECTURES[name]
    assert comparison.padded <= 1e-5 and comparison.alone <= 1e-5 and comparison.saved <= 1e-5
    assert (comparison.packed is not None) == architecture.packable
    assert architecture.packable != bool(comparison.reason)
    assert comparison.packed is None or comparison.packed <= 1e-5
    assert comparison.equal
    # heads that the encoder has no use for are no surprise
    assert not [r for r in caplog.records if r.name.startswith("mixling") and r.levelno > 20]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("gte-modernbert-base", "local_attention", 64),
        ("embeddinggemma-300m", "sliding_window", 64),
        ("embeddinggemma-300m", "use_bidirectional_attention", False),
        ("e5-mistral-7b-instruct", "sliding_window", 64),
        ("qwen2, last token", "is_causal", False),
        ("all-mpnet-base-v2", "relative_attention_num_buckets", None),
    ],
)
def test_what_cannot_be_packed_matters_in_these_models(name, field, value, write):
    """Else the comparison above would show nothing of windows, causal attention and biases."""
    folder = write(name)
    before = vectors(Retriever(str(folder), device="cpu"))
    if value is None:
        change_weights(
            folder,
            lambda w: {k: v * (0 if "relative_attention_bias" in k else 1) for k, v in w.items()},
        )
    else:
        change_config(folder, **{field: value})
    after = vectors(Retriever(str(folder), device="cpu"))
    assert np.abs(after - before).max() > 0.03


@pytest.mark.parametrize(
    "name", ["Qwen3-Embedding-0.6B", "qwen2, last token", "e5-mistral-7b-instruct"]
)
def test_the_last_token_of_a_truncated_text_is_the_end(name, write):
    retriever = Retriever(str(write(name)), device="cpu")
    tokens = retriever.tokenize(TEXTS, "query")
    assert max(map(len, tokens)) == retriever.max_length == 100
    assert {t[-1] for t in tokens} == {retriever.tokenizer.eos_token_id}


@pytest.mark.parametrize(
    "name", ["Qwen3-Embedding-0.6B", "gte-modernbert-base", "sentence-t5-base"]
)
def test_a_debiased_half_precision_model_is_the_same_in_sentence_transformers(
    name, write, tmp_path
):
    from sentence_transformers import SentenceTransformer

    folder = write(name)
    debias(str(folder), "lsar", ["sample"], tmp_path / "fair")
    fair = vectors(Retriever(str(tmp_path / "fair"), device="cpu"))
    theirs = vectors(SentenceTransformer(str(tmp_path / "fair"), device="cpu"))
    assert np.abs(fair - theirs).max() <= 1e-5
    assert np.abs(fair - vectors(Retriever(str(folder), device="cpu"))).max() > 1e-2


def test_experts_without_a_place_and_layers_without_weights_are_named_together(write):
    """nomic-embed-text-v2-moe in transformers' own class, which has no experts."""
    folder = write("nomic-embed-text-v1.5")

    def to_experts(weights):
        dense = {k for k in weights if re.match(r"encoder\.layers\.1\.mlp", k)}
        assert dense
        kept = {k: v for k, v in weights.items() if k not in dense}
        prefix = "encoder.layers.1.mlp"
        return {
            **kept,
            f"{prefix}.experts.mlp.w1": torch.ones(8, 32),
            f"{prefix}.experts.mlp.w2": torch.ones(8, 32),
            f"{prefix}.router.layer.weight": torch.ones(2, 32),
        }

    change_weights(folder, to_experts)
    change_config(
        folder,
        auto_map={"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"},
    )
    with pytest.raises(MixlingError) as refused:
        Retriever(str(folder), device="cpu")
    message = str(refused.value)
    assert re.search(r"random: [^;]*layers\.1\.mlp\.up_proj\.weight", message)
    assert re.search(r"without a place [^;]*layers\.1\.mlp\.experts\.mlp\.w", message)
    assert "--trust-remote-code" in message


def test_a_bert_of_another_kind_is_refused_and_its_class_named(write):
    """jina-embeddings-v2, which calls itself bert and has a gated MLP and no positions."""
    folder = write("LaBSE")
    replaced = ("position_embeddings", "intermediate.dense")

    def to_jina(weights):
        kept = {k: v for k, v in weights.items() if not any(r in k for r in replaced)}
        return {**kept, "encoder.layer.0.mlp.gated_layers.weight": torch.ones(96, 32)}

    change_weights(folder, to_jina)
    own = "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"
    change_config(folder, auto_map={"AutoModel": own}, position_embedding_type="alibi")
    with pytest.raises(MixlingError) as refused:
        Retriever(str(folder), device="cpu")
    for part in ("position_embeddings.weight", "mlp.gated_layers.weight", "JinaBertModel"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("bert-base-multilingual-cased", "bert.encoder.layer.3.output.dense.weight"),
        ("bert-base-multilingual-cased", "bert.embeddings.rotary.weight"),
        ("xlm-roberta-base", "roberta.encoder.layer.0.attention.self.query.lora_A"),
        ("Qwen3-Embedding-0.6B", "layers.0.mlp.experts.0.up_proj.weight"),
        ("sentence-t5-base", "encoder.block.3.layer.0.SelfAttention.q.weight"),
        ("paraphrase-albert-small-v2", "encoder.albert_layer_groups.1.albert_layers.0.ffn.weight"),
        ("mdeberta-v3-base", "deberta.encoder.conv.conv.weight"),
        ("gte-modernbert-base", "model.extra_norm.weight"),
    ],
)
def test_a_weight_of_the_encoder_without_a_place_is_refused(name, weight, write):
    folder = write(name)
    change_weights(folder, lambda w: {**w, weight: torch.ones(32, 32)})
    with pytest.raises(MixlingError, match="without a place in the encoder") as refused:
        Retriever(str(folder), device="cpu")
    assert weight.rpartition("layer")[2] in str(refused.value)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        (
            "bge-m3",
            ["lm_head.layer_norm.weight", "classifier.out_proj.bias", "colbert_linear.weight"],
        ),
        ("bert-base-multilingual-cased", ["cls.predictions.transform.LayerNorm.weight"]),
        ("bert-base-multilingual-cased", ["bert.embeddings.position_ids"]),
        ("llama, last token", ["model.layers.0.self_attn.rotary_emb.inv_freq", "score.weight"]),
        ("sentence-t5-base", ["decoder.block.0.layer.0.SelfAttention.q.weight", "lm_head.weight"]),
        (
            "embeddinggemma-300m",
            [
                "vision_tower.encoder.layers.0.mlp.fc1.weight",
                "multi_modal_projector.mm_soft_emb_norm.weight",
            ],
        ),
    ],
)
def test_heads_and_buffers_are_allowed_in_silence(name, weights, write, caplog):
    folder = write(name)
    before = vectors(Retriever(str(folder), device="cpu"))
    change_weights(folder, lambda w: {**w, **{k: torch.ones(2, 2) for k in weights}})
    assert np.array_equal(vectors(Retriever(str(folder), device="cpu")), before)
    assert "no place" not in caplog.text


def test_adapters_beside_a_model_are_not_left_out_in_silence(write, caplog):
    folder = write("jina-embeddings-v3-hf")
    (folder / "retrieval_query").mkdir()
    (folder / "retrieval_query" / "adapter_config.json").write_text("{}")
    Retriever(str(folder), device="cpu")
    assert "adapters that are not used (retrieval_query)" in caplog.text
    assert find_adapters("jinaai/name", "jina_embeddings_v3") == [
        "retrieval_query",
        "retrieval_passage",
    ]
    assert not find_adapters("intfloat/name", "bert")


@pytest.mark.parametrize("lost", ["file", "weight"])
def test_a_part_of_sharded_weights_that_is_lost_is_named(lost, write):
    folder = write("Qwen3-Embedding-0.6B")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {f"model-0000{i}-of-00002.safetensors": names[i - 1 :: 2] for i in (1, 2)}
    for file, keys in parts.items():
        save_file({k: weights[k] for k in keys}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {k: f for f, keys in parts.items() for k in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    whole = Retriever(str(folder), device="cpu")
    assert whole.stored == "bf16"
    second = folder / "model-00002-of-00002.safetensors"
    if lost == "file":
        second.unlink()
        named = second.name
    else:
        kept = [k for k in names[1::2] if "q_proj" not in k]
        assert len(kept) < len(names[1::2])
        save_file({k: weights[k] for k in kept}, second, metadata={"format": "pt"})
        named = "q_proj"
    with pytest.raises(MixlingError, match=named):
        Retriever(str(folder), device="cpu")


def test_a_class_that_only_the_model_brings_is_refused_by_name(write):
    """gte-multilingual-base, whose `new` is no architecture of transformers."""
    folder = write("gte-multilingual-base")
    classes = {
        "AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig",
        "AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel",
    }
    change_config(folder, model_type="new", auto_map=classes)
    with pytest.raises(MixlingError, match=r"NewModel in modeling\.py of Alibaba-NLP/new-impl"):
        Retriever(str(folder), device="cpu")


@pytest.mark.slow
def test_an_attention_with_a_bias_is_exported(write, tmp_path):
    differences = export_onnx(str(write("sentence-t5-base")), tmp_path / "exported")
    assert differences["onnx"] < 1e-5


@pytest.mark.parametrize("name", ["bge-m3", "Qwen3-Embedding-0.6B"])
def test_an_exported_model_is_tried_on_texts_that_are_padded_as_a_server_pads_them(name, write):
    retriever = Retriever(str(write(name)), device="cpu")
    theirs = retriever.model.preprocess(list(onnx.TEST_TEXTS), prompt=retriever.prompt("query"))
    for key, ours in onnx._inputs(retriever).items():
        assert np.array_equal(ours, theirs[key].numpy())


def test_an_encoder_that_torch_cannot_export_is_refused_by_its_class(write, tmp_path, monkeypatch):
    def export(*_, **__):
        raise torch.onnx.OnnxExporterError("step 2") from ValueError(
            "cannot view a tensor\nof shape"
        )

    monkeypatch.setattr(torch.onnx, "export", export)
    retriever = Retriever(str(write("sentence-t5-base")), device="cpu")
    attention = retriever.encoder.config._attn_implementation
    with pytest.raises(
        MixlingError, match=r"T5EncoderModel.*cannot view a tensor\)\. Serve the model"
    ):
        export_onnx(retriever, tmp_path / "exported")
    assert retriever.encoder.config._attn_implementation == attention
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    "name",
    ["bge-m3", "mcontriever-msmarco", "sentence-t5-base", "embeddinggemma-300m",
     "Qwen3-Embedding-0.6B", "mdeberta-v3-base"],
)  # fmt: skip
def test_a_folder_without_a_vocabulary_is_refused(name, write):
    """transformers makes a tokenizer of special tokens alone, to which all words are the same."""
    folder = write(name)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(MixlingError, match=r"knows no letter .* lacks tokenizer\.json"):
        Retriever(str(folder), device="cpu")


def test_a_cross_encoder_without_a_vocabulary_is_refused(write, tmp_path):
    from sentence_transformers import CrossEncoder

    base = write("bert-base-multilingual-cased")
    folder = tmp_path / "cross"
    CrossEncoder(str(base), num_labels=1, device="cpu").save(str(folder))
    assert len(Reranker(str(folder), device="cpu").scores([("a", "b")])) == 1
    (folder / "tokenizer.json").unlink()
    with pytest.raises(MixlingError, match="knows no letter"):
        Reranker(str(folder), device="cpu")


def test_a_larger_vocabulary_than_the_encoder_embeds_is_refused(write):
    folder = write("bge-m3")
    change_config(folder, vocab_size=300)
    change_weights(
        folder, lambda w: {k: v[:300] if "word_embeddings" in k else v for k, v in w.items()}
    )
    with pytest.raises(MixlingError, match=r"vocabulary of \d+ tokens, but .* vectors for 300"):
        Retriever(str(folder), device="cpu")


def test_weights_are_checked_where_a_program_has_turned_logging_off(write):
    folder = write("bge-m3")
    change_weights(folder, lambda w: {k: v for k, v in w.items() if "self.key" not in k})
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises(MixlingError, match=r"self\.key"):
            Retriever(str(folder), device="cpu")
        assert logging.root.manager.disable == logging.CRITICAL
    finally:
        logging.disable(logging.NOTSET)
