"""Tiny random models in the form in which the popular embedding models are published.

Each has the configuration, the tokenizer, the chain of modules, the names and the number format of
the weights of its model on the hub, with small sizes. A name that is no model's stands for several
models of an architecture. `python -m tests.architectures` prints how far Mixling's vectors are from
those of sentence-transformers.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

WORDS = (
    "a",
    "?",
    "How do cranes find their way when they fly south?",
    "鶴はどこで冬を越すか",
    "Der Kranich zieht im Herbst nach Süden, und im Frühling kommt er zurück.",
    "Pomboo hulala kwa nusu moja ya ubongo " * 30,
    "журавли",
    "متى تعود الطيور " * 5,
)
SPECIAL_TEXTS = ("", "a text with <pad>, [PAD], <s>, </s>, [SEP] and <|endoftext|> in it")
TEXTS = (*WORDS, *SPECIAL_TEXTS)
LIMIT = 100  # tokens; the longest of the texts has more in every tokenizer
DENSE = "sentence_transformers.models.Dense"


@dataclass(frozen=True)
class Architecture:
    """A published model.

    Args:
        config: Fields of its config.json that matter, with small sizes.
        tokenizer: A name of `TOKENIZERS`.
        pooling: The pooling that its 1_Pooling/config.json names, as in "mean_tokens".
        layers: The modules after the pooling: "normalize", or (size, activation, bias) of a Dense.
        prompts: Its prompts.
        dtype: Number format of the weights' file.
        prefix: What stands before the names of the encoder's weights.
        heads: Weights in the file, or files of weights, that the encoder does not use.
        sides: Sides of padding and truncation, as tokenizer_config.json names them.
        options: Further fields of config_sentence_transformers.json.
        pickled: Whether its weights are a pytorch_model.bin.
        packable: Whether its texts can go packed.
    """

    config: dict[str, Any]
    tokenizer: str
    pooling: str
    layers: tuple[Any, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    prefix: str = ""
    heads: tuple[str, ...] = ()
    sides: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    pickled: bool = False
    packable: bool = False


SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
DECODER = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 4096, "use_cache": False}
BERT = {"model_type": "bert", **SIZES, "max_position_embeddings": 128, "type_vocab_size": 2}
XLM_R = {
    "model_type": "xlm-roberta",
    **SIZES,
    "max_position_embeddings": 130,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-05,
}
T5 = {
    "model_type": "t5",
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 3,
    "num_heads": 4,
    "relative_attention_num_buckets": 32,
    "is_encoder_decoder": True,
    "n_positions": 512,
}
MODERNBERT = {
    "model_type": "modernbert",
    **SIZES,
    "max_position_embeddings": 8192,
    "global_attn_every_n_layers": 3,
    "local_attention": 16,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
}
INSTRUCT = "Instruct: Given a question, find passages that answer it\nQuery: "
LEFT = {"padding_side": "left"}
BF16, FP16 = torch.bfloat16, torch.float16

ARCHITECTURES = {
    "bge-m3": Architecture(
        XLM_R, "xlm-r", "cls_token", ("normalize",),
        heads=("pooler", "sparse_linear.pt", "colbert_linear.pt"), pickled=True, packable=True,
    ),
    "multilingual-e5-base": Architecture(
        XLM_R, "xlm-r", "mean_tokens", ("normalize",), heads=("pooler",), packable=True
    ),
    "snowflake-arctic-embed-l-v2.0": Architecture(
        XLM_R, "xlm-r", "cls_token", ("normalize",), {"query": "query: "}, packable=True
    ),
    "granite-embedding-278m-multilingual": Architecture(
        XLM_R, "xlm-r", "cls_token", ("normalize",), dtype=BF16, packable=True
    ),
    "paraphrase-multilingual-mpnet-base-v2": Architecture(
        XLM_R, "xlm-r", "mean_tokens", heads=("pooler",), packable=True
    ),
    "xlm-roberta-base": Architecture(
        XLM_R, "xlm-r", "mean_tokens", prefix="roberta.", heads=("lm_head",), packable=True
    ),
    "bert-base-multilingual-cased": Architecture(
        BERT, "bert", "cls_token", prefix="bert.",
        heads=("cls.predictions", "cls.seq_relationship"), packable=True,
    ),
    "LaBSE": Architecture(
        BERT, "bert", "cls_token", ((32, "Tanh", True), "normalize"), heads=("pooler",),
        packable=True,
    ),
    "mcontriever-msmarco": Architecture(
        BERT, "bert", "mean_tokens", heads=("pooler",), pickled=True, packable=True
    ),
    "all-mpnet-base-v2": Architecture(
        {"model_type": "mpnet", **SIZES, "max_position_embeddings": 130,
         "relative_attention_num_buckets": 32},
        "mpnet", "mean_tokens", ("normalize",), heads=("pooler",),
    ),
    "distiluse-base-multilingual-cased-v2": Architecture(
        {"model_type": "distilbert", "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48,
         "max_position_embeddings": 128},
        "bert", "mean_tokens", ((16, "Tanh", True),), packable=True,
    ),
    "gte-modernbert-base": Architecture(
        MODERNBERT, "modernbert", "cls_token", dtype=FP16, prefix="model.",
        heads=("head.dense", "decoder"),
    ),
    "mmBERT-base": Architecture(
        MODERNBERT, "gemma", "mean_tokens", prefix="model.", heads=("head.dense", "decoder")
    ),
    "granite-embedding-r2": Architecture(MODERNBERT, "modernbert", "cls_token", dtype=BF16),
    "sentence-t5-base": Architecture(
        T5, "t5", "mean_tokens", ((24, "Identity", False), "normalize"), dtype=FP16
    ),
    "gtr-t5-base": Architecture(
        {**T5, "feed_forward_proj": "gated-gelu"}, "t5", "mean_tokens",
        ((24, "Identity", False), "normalize"), dtype=FP16,
    ),
    "mt5-base": Architecture(
        {**T5, "model_type": "mt5", "feed_forward_proj": "gated-gelu"}, "t5", "mean_tokens",
        heads=("decoder.block.0.layer.0.SelfAttention.q", "lm_head"),
    ),
    "nomic-embed-text-v1.5": Architecture(
        {"model_type": "nomic_bert", **SIZES, "max_position_embeddings": 2048},
        "bert", "mean_tokens", ("normalize",),
        {"query": "search_query: ", "document": "search_document: "},
        heads=("pooler", "cls.predictions"), options={"truncate_dim": 16}, packable=True,
    ),
    "gte-multilingual-base": Architecture(
        {"model_type": "gte", **SIZES, "max_position_embeddings": 8192, "type_vocab_size": 1},
        "xlm-r", "cls_token", ("normalize",), dtype=FP16, prefix="new.", heads=("classifier",),
        packable=True,
    ),
    "jina-embeddings-v3-hf": Architecture(
        {"model_type": "jina_embeddings_v3", **SIZES, "max_position_embeddings": 8194},
        "xlm-r", "mean_tokens", ("normalize",), dtype=BF16, packable=True,
    ),
    "EuroBERT-210m": Architecture(
        {"model_type": "eurobert", **DECODER}, "llama", "mean_tokens", dtype=BF16, prefix="model.",
        heads=("lm_head",), packable=True,
    ),
    "embeddinggemma-300m": Architecture(
        {"model_type": "gemma3_text", **DECODER, "head_dim": 8, "num_key_value_heads": 1,
         "sliding_window": 16, "_sliding_window_pattern": 3, "query_pre_attn_scalar": 8,
         "use_bidirectional_attention": True,
         "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]},
        "gemma", "mean_tokens", ((64, "Identity", False), (32, "Identity", False), "normalize"),
        {"query": "task: search result | query: ", "document": "title: none | text: "}, sides=LEFT,
    ),
    "Qwen3-Embedding-0.6B": Architecture(
        {"model_type": "qwen3", **DECODER, "head_dim": 8, "rope_theta": 1000000}, "qwen",
        "lasttoken", ("normalize",), {"query": INSTRUCT, "document": ""}, BF16, sides=LEFT,
    ),
    "qwen2, last token": Architecture(
        {"model_type": "qwen2", **DECODER, "rope_theta": 1000000.0, "sliding_window": 4096,
         "use_sliding_window": False},
        "qwen", "lasttoken", ("normalize",), {"query": INSTRUCT}, FP16, sides=LEFT,
    ),
    "qwen2, bidirectional": Architecture(
        {"model_type": "qwen2", **DECODER, "rope_theta": 1000000.0, "is_causal": False},
        "qwen", "lasttoken", ("normalize",), {"query": INSTRUCT}, FP16, sides=LEFT,
        packable=True,
    ),
    "e5-mistral-7b-instruct": Architecture(
        {"model_type": "mistral", **DECODER, "sliding_window": 16}, "llama", "lasttoken",
        ("normalize",), {"query": INSTRUCT}, FP16, sides=LEFT,
    ),
    "llama, last token": Architecture(
        {"model_type": "llama", **DECODER}, "llama", "lasttoken", ("normalize",),
        {"query": INSTRUCT}, BF16, prefix="model.", heads=("lm_head",),
        sides={**LEFT, "truncation_side": "left"},
    ),
    "llama, bidirectional": Architecture(
        {"model_type": "llama", **DECODER, "is_causal": False}, "llama", "mean_tokens",
        ("normalize",), {"query": "query: ", "document": "passage: "}, BF16, sides=LEFT,
        packable=True,
    ),
    "electra": Architecture(
        {"model_type": "electra", **SIZES, "embedding_size": 16, "max_position_embeddings": 128},
        "bert", "cls_token", prefix="electra.", heads=("discriminator_predictions.dense",),
        packable=True,
    ),
    "paraphrase-albert-small-v2": Architecture(
        {"model_type": "albert", **SIZES, "embedding_size": 16, "max_position_embeddings": 128},
        "albert", "mean_tokens", heads=("pooler",), packable=True,
    ),
    "mdeberta-v3-base": Architecture(
        {"model_type": "deberta-v2", **SIZES, "max_position_embeddings": 128,
         "relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm",
         "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
         "type_vocab_size": 0, "max_relative_positions": -1},
        "deberta", "mean_tokens", prefix="deberta.",
        heads=("lm_predictions.lm_head", "mask_predictions.classifier"), pickled=True,
    ),
}  # fmt: skip
ACTIVATIONS = {
    "Tanh": "torch.nn.modules.activation.Tanh",
    "Identity": "torch.nn.modules.linear.Identity",
}
# algorithm; special tokens at the beginning and the end, for padding and for unknown text; class
TOKENIZERS = {
    "xlm-r": ("unigram", "<s>", "</s>", "<pad>", "<unk>", "XLMRobertaTokenizer"),
    "t5": ("unigram", None, "</s>", "<pad>", "<unk>", "T5Tokenizer"),
    "albert": ("unigram", "[CLS]", "[SEP]", "<pad>", "<unk>", "AlbertTokenizer"),
    "deberta": ("unigram", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "DebertaV2Tokenizer"),
    "bert": ("wordpiece", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "BertTokenizer"),
    "mpnet": ("wordpiece", "<s>", "</s>", "<pad>", "[UNK]", "MPNetTokenizer"),
    "gemma": ("bpe", "<bos>", "<eos>", "<pad>", "<unk>", "GemmaTokenizer"),
    "llama": ("bpe", "<s>", "</s>", "<unk>", "<unk>", "LlamaTokenizer"),
    "qwen": ("bytes", None, "<|endoftext|>", "<|endoftext|>", None, "Qwen2Tokenizer"),
    "modernbert": ("bytes", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "PreTrainedTokenizerFast"),
}


@cache
def subwords() -> dict[str, float]:
    """The most frequent strings of words, with a space as ▁ before a word, and their logarithm."""
    counts: Counter[str] = Counter()
    for word in " ".join(WORDS).split():
        word = f"▁{word}"
        counts.update(word[i:j] for i in range(len(word)) for j in range(i + 1, i + 6))
    total = sum(counts.values())
    best = sorted(counts, key=lambda p: (len(p) > 1, -counts[p] * (len(p) - 1), p))[:600]
    return {p: math.log(counts[p] / total) for p in best}


@cache
def tokenizer(name: str) -> Any:
    """A tokenizer of a published kind."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    kind, begin, end, pad, unknown, _ = TOKENIZERS[name]
    order = (begin, pad, end, unknown) if name == "xlm-r" else (pad, end, begin, unknown)
    special = list(dict.fromkeys(t for t in order if t))
    if kind == "unigram":
        vocabulary = [*((t, 0.0) for t in special), *subwords().items()]
        built = Tokenizer(models.Unigram(vocabulary, unk_id=special.index(unknown)))
        built.normalizer = normalizers.NFKC()
        built.pre_tokenizer = pre_tokenizers.Metaspace()
    elif kind == "wordpiece":
        first = [p[1:] for p in subwords() if p.startswith("▁") and len(p) > 1]
        rest = [f"##{p}" for p in subwords() if not p.startswith("▁")]
        words = dict.fromkeys([*special, *first, *rest])
        built = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token=unknown))
        built.normalizer = normalizers.BertNormalizer(lowercase=False)
        built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "bpe":
        letters = [
            *special,
            *(f"<0x{i:02X}>" for i in range(256)),
            *(p for p in subwords() if len(p) == 1),
        ]
        built = Tokenizer(
            models.BPE({p: i for i, p in enumerate(letters)}, [], unk_token=unknown,
                       byte_fallback=True, fuse_unk=True)
        )  # fmt: skip
        built.normalizer = normalizers.Replace(" ", "▁")
    else:
        letters = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
        built = Tokenizer(models.BPE({p: i for i, p in enumerate(letters)}, []))
        built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        built.decoder = decoders.ByteLevel()
    built.add_special_tokens(special)
    built.post_processor = processors.TemplateProcessing(
        single=" ".join(t for t in (begin, "$A", end) if t),
        special_tokens=[(t, built.token_to_id(t)) for t in (begin, end) if t],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        pad_token=pad,
        unk_token=unknown,
        eos_token=end,
        bos_token=begin,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"]
        if name in ("bert", "albert")
        else ["input_ids", "attention_mask"],
        model_max_length=LIMIT,
    )


def write_model(folder: Path, architecture: Architecture) -> Path:
    """Write a tiny model in its published form.

    Args:
        folder: The folder to write.
        architecture: The form.

    Returns:
        The folder.
    """
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, AutoModel, MT5EncoderModel, T5EncoderModel

    tokens = tokenizer(architecture.tokenizer)
    options = dict(architecture.config)
    config = AutoConfig.for_model(
        options.pop("model_type"),
        **options,
        vocab_size=len(tokens) + 3,
        pad_token_id=tokens.pad_token_id,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
    )
    torch.manual_seed(0)
    classes = {"t5": T5EncoderModel, "mt5": MT5EncoderModel}
    encoder_class = classes.get(config.model_type)
    model = encoder_class(config) if encoder_class else AutoModel.from_config(config)
    for weight in model.parameters():
        # Larger than at the start of a training, so that each layer moves the vectors.
        spread = 0.3 if weight.ndim > 1 else 0.1
        weight.data += spread * torch.randn_like(weight)
    model.to(architecture.dtype).save_pretrained(folder)
    tokens.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    tokenizer_class = TOKENIZERS[architecture.tokenizer][-1]
    written = {**json.loads(path.read_text()), "tokenizer_class": tokenizer_class}
    path.write_text(json.dumps({**written, **architecture.sides}))
    weights = load_file(folder / "model.safetensors")
    weights = {architecture.prefix + k: v for k, v in weights.items() if not k.startswith("pooler")}
    for head in architecture.heads:
        if head == "pooler" and (pooler := getattr(model, "pooler", None)) is not None:
            weights |= {f"pooler.{k}": v for k, v in pooler.state_dict().items()}
        elif head.endswith(".pt"):
            torch.save({"weight": torch.ones(1, 32), "bias": torch.ones(1)}, folder / head)
        else:
            weights[f"{head}.weight"] = torch.ones(2, 2, dtype=architecture.dtype)
    if architecture.pickled:
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _write_chain(folder, architecture, int(config.hidden_size))
    return folder


def _write_chain(folder: Path, architecture: Architecture, size: int) -> None:
    """Write modules.json and the folders that it names, as published."""
    modules = [("", "sentence_transformers.models.Transformer")]

    def write(path: str, content: Any) -> None:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))

    write("sentence_bert_config.json", {"max_seq_length": LIMIT, "do_lower_case": False})
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "lasttoken")
    pooling = {f"pooling_mode_{mode}": mode == architecture.pooling for mode in modes}
    write("1_Pooling/config.json", {"word_embedding_dimension": size, **pooling})
    modules.append(("1_Pooling", "sentence_transformers.models.Pooling"))
    for number, layer in enumerate(architecture.layers, 2):
        if layer == "normalize":
            modules.append((f"{number}_Normalize", "sentence_transformers.models.Normalize"))
            continue
        out, activation, bias = layer
        path = f"{number}_Dense"
        modules.append((path, DENSE))
        write(
            f"{path}/config.json",
            {
                "in_features": size,
                "out_features": out,
                "bias": bias,
                "activation_function": ACTIVATIONS[activation],
            },
        )
        dense = torch.nn.Linear(size, out, bias=bias).to(architecture.dtype)
        torch.save(
            {f"linear.{k}": v for k, v in dense.state_dict().items()},
            folder / path / "pytorch_model.bin",
        )
        size = out
    write(
        "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": kind}
            for i, (path, kind) in enumerate(modules)
        ],
    )
    write(
        "config_sentence_transformers.json",
        {
            "__version__": {"sentence_transformers": "3.0.0"},
            "prompts": architecture.prompts,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
            **architecture.options,
        },
    )


@dataclass(frozen=True)
class Comparison:
    """How far Mixling's vectors are from those of sentence-transformers.

    Args:
        padded: Largest difference of a number, texts padded.
        packed: The same of packed texts, or None if they go padded.
        alone: The same of texts that are encoded one by one.
        saved: The same of the folder that Mixling writes, as sentence-transformers loads it.
        reason: Why texts go padded, or "".
        equal: Whether two loads give the same numbers.
    """

    padded: float
    packed: float | None
    alone: float
    saved: float
    reason: str
    equal: bool


def vectors(model: Any, texts: Sequence[str] = TEXTS) -> np.ndarray:
    """Return the vectors of texts as queries and as passages, `[2, n, dim]`.

    Args:
        model: A SentenceTransformer or a Retriever.
        texts: The texts.
    """
    texts = list(texts)
    if hasattr(model, "encode_query"):
        return np.stack([model.encode_query(texts), model.encode_document(texts)])
    return np.stack([model.encode(texts, role) for role in ("query", "passage")])


def compare(folder: Path, saved: Path) -> Comparison:
    """Compare Mixling's vectors of a model with those of sentence-transformers in fp32.

    Args:
        folder: The model.
        saved: A folder to write the model to.
    """
    from sentence_transformers import SentenceTransformer

    from mixling.models.retriever import Retriever

    fp32 = {"dtype": torch.float32}
    theirs = SentenceTransformer(str(folder), device="cpu", model_kwargs=fp32).float()
    expected = vectors(theirs)

    def difference(found: np.ndarray) -> float:
        assert found.shape == expected.shape
        return float(np.abs(found - expected).max())

    packed, padded = (Retriever(str(folder), device="cpu", packed=p) for p in (True, False))
    with _messages("mixling.models.packing_trial") as messages:
        is_packed = packed.first_position is not None
    padded_vectors, packed_vectors = vectors(padded), vectors(packed)
    again = padded_vectors if is_packed else packed_vectors
    if is_packed:
        again = vectors(Retriever(str(folder), device="cpu", packed=False))
    packed.save(saved)
    return Comparison(
        padded=difference(padded_vectors),
        packed=difference(packed_vectors) if is_packed else None,
        alone=difference(np.concatenate([vectors(packed, [text]) for text in TEXTS], axis=1)),
        saved=difference(vectors(SentenceTransformer(str(saved), device="cpu"))),
        reason=" ".join(messages).rpartition(": ")[2],
        equal=np.array_equal(again, padded_vectors),
    )


@contextlib.contextmanager
def _messages(name: str) -> Iterator[list[str]]:
    """Collect the messages of a logger."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger(name)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield messages
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def row(name: str, comparison: Comparison) -> str:
    """Return a line of the table."""
    architecture = ARCHITECTURES[name]
    layers = [
        x.capitalize() if isinstance(x, str) else f"Dense({x[1]})" for x in architecture.layers
    ]
    chain = ", ".join([architecture.pooling.partition("_")[0], *layers])
    packed = f"padded ({comparison.reason})"
    if comparison.packed is not None:
        packed = f"{comparison.packed:.0e}"
    cells = (
        name,
        architecture.config["model_type"],
        chain,
        str(architecture.dtype).rpartition(".")[2],
        f"{comparison.padded:.0e}",
        packed,
        f"{comparison.alone:.0e}",
        f"{comparison.saved:.0e}",
        "yes" if comparison.equal else "no",
    )
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| model | architecture | chain | stored in | padded | packed | one by one | saved | "
    "two loads equal |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Print the table."""
    from mixling.models.quiet import quiet_libraries

    quiet_libraries()
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, architecture) in enumerate(ARCHITECTURES.items()):
            model = write_model(Path(folder) / str(i), architecture)
            print(row(name, compare(model, Path(folder) / f"{i}-saved")), flush=True)


if __name__ == "__main__":
    main()
