"""Encode queries soon after a start, without sentence-transformers and transformers.

Importing the two and building a model takes most of the time of a first answer. What a model does
with a query is little if it is BERT's layers and a pooling: this module does that with torch,
tokenizers and safetensors alone. Whether it does the same is tried when the whole model is loaded
(`remember_model`), on texts in several scripts, and kept in the cache:

    CACHE/queries/HASH/record.json       how the model is used, its hashes, its files' times
    CACHE/queries/HASH/tokenizer.json    its tokenizer
    CACHE/queries/HASH/dense.npz         the matrix and the bias of a transform behind it, if any

A record holds as long as no file of the model and no version of a library changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm

from mixling.disk import new_folder
from mixling.errors import MixlingError
from mixling.machine import cache_folder, library_versions
from mixling.models.bert_layers import layer_states
from mixling.models.bert_structure import Layer, bert_layers
from mixling.models.encoder import ExternalEncoder, Progress
from mixling.models.forward import batches_by_tokens, token_budgets
from mixling.models.precision import choose_precision
from mixling.models.prompts import ROLES
from mixling.models.shipped import NAME
from mixling.models.weights import DEFAULT, locate_model
from mixling.threads import fitting_threads

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

POOLINGS = ("mean", "cls")
CALL_TOKENS = token_budgets("cpu").encode
KEPT = 8  # records; a tokenizer may have 17 MB
DENSE = "dense.npz"
TOLERANCE = 2e-6  # largest difference of a trial's vectors, whose length is about one
# the parts of a layer by the names that transformers gives them
_PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")
_TRIALS = (
    "How do I change the margins of a page?",
    "Wer baute die Brücke über den Fluss?\n  Und wann — 1874?",
    "桥是谁建的？ 誰が橋を架けましたか。",
    "من بنى الجسر؟ पुल किसने बनाया? สะพาน 🌉 <pad> </s> [CLS]",
    "x",
)
_LONG = "Sarafu za kwanza zilitengenezwa wapi? " * 120  # beyond what models read


class QueryEncoder(ExternalEncoder):
    """A model as `remember_model` has found it.

    Args:
        folder: The folder of the record.
        record: The record.
    """

    def __init__(self, folder: Path, record: Mapping[str, Any]):
        super().__init__(
            record["name"],
            "the model's files",
            prompts=record["prompts"],
            similarity=record["similarity"],
            titles=record["titles"],
        )
        from tokenizers import Tokenizer

        self.max_length, self.stored = record["max_length"], record["stored"]
        self.options = dict(record["options"])
        self._dimensions = record["dimensions"]
        self._record, self._precision = record, "fp32"
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length)
        weights = _mapped_weights(Path(record["weights"]), record["prefix"])
        self._embeddings = [weights(f"embeddings.{name}.weight") for name in _EMBEDDINGS[:3]]
        self._norm = [weights(f"embeddings.{_EMBEDDINGS[3]}.{x}") for x in ("weight", "bias")]
        self._layers = [
            _layer(weights, f"encoder.layer.{i}.", record) for i in range(record["layers"])
        ]
        self._dense: list[Tensor] = []
        if "Dense" in record["after"]:
            with np.load(folder / DENSE) as arrays:
                self._dense = [torch.from_numpy(arrays[x]) for x in ("weight", "bias")]

    def embed_inputs(
        self, inputs: list[str], role: str | None, progress: Progress | None
    ) -> np.ndarray:
        """Return the vectors of texts; see `ExternalEncoder`."""
        tokens = self.tokens(inputs)
        empty = next((i for i, ids in enumerate(tokens) if not ids), None)
        if empty is not None:
            raise MixlingError(
                f"{self.name}: its tokenizer makes no token of {inputs[empty][:40]!r}, so this "
                "text has no vector. Leave the text out."
            )
        out = np.empty((len(tokens), self._dimensions), np.float32)
        for call in batches_by_tokens([len(x) for x in tokens], CALL_TOKENS, packed=True):
            out[call] = self._vectors([tokens[i] for i in call])
        return out

    def encode(
        self,
        texts: Sequence[str],
        role: str | None = None,
        *,
        titles: Sequence[str | None] | None = None,
        languages: Sequence[str] | None = None,
        precision: Any = "auto",
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Encode texts; see `ExternalEncoder`."""
        self._precision = choose_precision(self.device, precision)
        return super().encode(texts, role, titles=titles)

    def _vectors(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the vectors of texts of some tokens, float32 `[n, dimensions]`."""
        lengths = tuple(map(len, texts))
        bf16 = torch.autocast("cpu", torch.bfloat16, enabled=self._precision == "bf16")
        with fitting_threads(sum(lengths)), torch.inference_mode(), bf16:
            x = torch.cat([self._embed(ids) for ids in texts])
            states = layer_states(self._layers, x, lengths).float().split(lengths)  # type: ignore[no-untyped-call]
        by_text = [x[0] if self._record["pooling"] == "cls" else x.mean(0) for x in states]
        pooled = torch.stack(by_text)
        with torch.inference_mode():
            for step in self._record["after"]:
                if step == "Dense":
                    pooled = torch.nn.functional.linear(pooled, *self._dense)
                else:
                    pooled = torch.nn.functional.normalize(pooled)
        vectors: np.ndarray = pooled.numpy()
        return vectors

    def _embed(self, ids: Sequence[int]) -> Tensor:
        """Return the embeddings of a text's tokens, float32 `[tokens, hidden]`."""
        words, positions, types = self._embeddings
        tokens = torch.tensor(ids)
        first = self._record["first_position"]
        place = torch.arange(len(ids)) + first
        if first:  # RoBERTa and its relatives do not count padding tokens that a text names
            counted = tokens != first - 1
            place = torch.where(counted, counted.cumsum(0) - 1 + first, first - 1)
        x = embedding(tokens, words).float() + types[0].float()
        x = x + embedding(place, positions).float()
        weight, bias = (part.float() for part in self._norm)
        return layer_norm(x, (x.shape[-1],), weight, bias, self._record["epsilon"])

    def tokens(self, inputs: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text with its prompt, special ones included."""
        return [x.ids for x in self._tokenizer.encode_batch(list(inputs))]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of each text's tokens, special ones included."""
        return list(map(len, self.tokens(texts)))

    def made(self, info: Mapping[str, Any]) -> bool:
        """Return whether the model made the vectors of a store, as the store's info says it."""
        return (
            info["encoder"] == self._record["encoder"]
            and info.get("reading") == self._record["reading"]
            and all(self.prompt(role) == prompt for role, prompt in info["prompts"].items())
        )

    def fingerprint(self) -> str:
        """Return the hash of the whole model's weights."""
        return str(self._record["encoder"])


def _mapped_weights(file: Path, prefix: str) -> Callable[[str], Tensor]:
    """Return a function from a weight's name to the weight, which the file is mapped for."""
    from safetensors import safe_open

    opened = safe_open(str(file), framework="pt")
    return lambda name: opened.get_tensor(prefix + name)  # type: ignore[no-untyped-call]


def _layer(weights: Callable[[str], Tensor], prefix: str, record: Mapping[str, Any]) -> Layer:
    """Return a layer with the weights of a file in fp32."""
    modules: list[Any] = []
    for part in _PARTS:
        weight = weights(f"{prefix}{part}.weight").float()
        bias = weights(f"{prefix}{part}.bias").float()
        if part.endswith("LayerNorm"):
            module: Any = nn.LayerNorm(weight.shape, record["epsilon"], device="meta")
        else:
            module = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
        module.weight = nn.Parameter(weight, requires_grad=False)
        module.bias = nn.Parameter(bias, requires_grad=False)
        modules.append(module)
    scale = (record["dimensions"] // record["heads"]) ** -0.5
    return Layer._make([*modules, record["heads"], scale])


def remember_model(retriever: Retriever, encoder: str, reading: str) -> bool:
    """Keep how a model encodes queries, if this module can do the same.

    Args:
        retriever: The model.
        encoder: Its `model_fingerprint`.
        reading: Its `config_fingerprint`.

    Returns:
        Whether there is a record of the model now. Nothing is said where there is none: then the
        whole model is loaded the next time, too.
    """
    folder = _record_folder(retriever.name, retriever.options)
    known = _valid_record(folder)
    if known is not None and (known["encoder"], known["reading"]) == (encoder, reading):
        return True
    record = _read_record(retriever)
    if record is None:
        return False
    record |= {"encoder": encoder, "reading": reading}
    try:
        with new_folder(folder) as new:
            retriever.tokenizer.backend_tokenizer.save(str(new / "tokenizer.json"))
            (new / "record.json").write_text(json.dumps(record))
            if "Dense" in record["after"]:
                linear = retriever.model[2 + record["after"].index("Dense")].linear
                arrays = {x: getattr(linear, x).detach().numpy() for x in ("weight", "bias")}
                np.savez(new / DENSE, **{x: y.astype(np.float32) for x, y in arrays.items()})
            # tried before it is in its place, where other processes trust it
            difference = _difference(QueryEncoder(new, record), retriever)
            if not difference <= TOLERANCE:  # also where it is no number
                raise ValueError(f"the vectors differ by {difference}")
    except Exception:  # a cache or a form that is not to be used: the whole model is always right
        return False
    with contextlib.suppress(OSError):  # another process may remove records, too
        by_age = sorted(folder.parent.iterdir(), key=lambda x: x.stat().st_mtime)
        for old in by_age[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return True


def _difference(own: QueryEncoder, retriever: Retriever) -> float:
    """Return the largest difference of two encoders' vectors, infinite where tokens differ.

    A text of the full length costs ten times as much as all others: of that one, the tokens and
    their embeddings are compared, which are all that its length can change.
    """
    differences = []
    for role in ("query", None):
        texts = [*_TRIALS, _LONG]
        tokens = own.tokens([retriever.prompt(role) + text for text in texts])
        if tokens != retriever.tokenize(texts, role):
            return np.inf
        expected = retriever.encode(_TRIALS, role, precision="fp32")
        differences.append(own.encode(_TRIALS, role, precision="fp32") - expected)
        with torch.inference_mode():
            embedded = retriever.encoder.embeddings(input_ids=torch.tensor(tokens[-1:]))[0]
            differences.append((own._embed(tokens[-1]) - embedded.float()).numpy())
    return max(float(np.abs(x).max()) for x in differences)


def remembered_model(name: str, options: Mapping[str, Any]) -> QueryEncoder | None:
    """Return the encoder of a model's queries, if there is a record of it that holds.

    Args:
        name: The model, as the store names it.
        options: The options of its use.
    """
    folder = _record_folder(name, options)
    record = _valid_record(folder)
    try:
        encoder = None if record is None else QueryEncoder(folder, record)
    except Exception:  # a damaged one: the whole model is loaded
        return None
    # another process may have replaced the record while its files were read
    return encoder if _valid_record(folder) == record else None


def _valid_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a folder, if there is one and nothing has changed since."""
    try:
        record: dict[str, Any] = json.loads((folder / "record.json").read_text())
        is_known = "after" in record  # records of earlier versions have no steps after the pooling
        return record if is_known and record["state"] == _state(Path(record["folder"])) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record_folder(name: str, options: Mapping[str, Any]) -> Path:
    try:
        path = str(Path(name).resolve()) if Path(name).is_dir() else name
    except OSError:  # a name that no file can have
        path = name
    key = json.dumps([path, dict(options)], sort_keys=True, default=str)
    return cache_folder() / "queries" / hashlib.sha256(key.encode()).hexdigest()[:24]


def _state(folder: Path) -> list[Any]:
    """Return the state that a record depends on: the model's files, their times, and libraries."""
    files = sorted(
        (str(x.relative_to(folder)), x.stat().st_size, x.stat().st_mtime_ns)
        for x in folder.rglob("*")
        if x.is_file() and ".cache" not in x.parts
    )
    return [[list(x) for x in files], library_versions()]


def _read_record(retriever: Retriever) -> dict[str, Any] | None:
    """Return how a model encodes, or None where this module cannot do the same."""
    modules = [type(m).__name__ for m in retriever.model]
    after = modules[2:]
    layers, config = bert_layers(retriever.encoder), retriever.encoder.config
    pooling, first = retriever.settings.pooling.value, retriever.first_position
    if (
        layers is None
        or first is None
        or str(retriever.device) != "cpu"
        or modules[:2] != ["Transformer", "Pooling"]
        or not set(after) <= {"Normalize", "Dense"}
        or after.count("Dense") > 1
        or not all(_is_affine(m) for m in retriever.model if type(m).__name__ == "Dense")
        or pooling not in POOLINGS
        or retriever.tokenizer.backend_tokenizer is None
        or "truncate_dim" in retriever.options
    ):
        return None
    # the files of `balanced` are those of the default encoder, and its transform is kept here
    located, _ = locate_model(DEFAULT if retriever.name == NAME else retriever.name)
    weights = Path(located) / "model.safetensors"
    prefix = _prefix(weights) if weights.is_file() else None
    if prefix is None:
        return None
    return {
        "name": retriever.name,
        "folder": str(Path(located).resolve()),
        "weights": str(weights.resolve()),
        "state": _state(Path(located).resolve()),
        "prefix": prefix,
        "prompts": {r: retriever.prompt(r) for r in ROLES if retriever.prompt(r)},
        "similarity": retriever.similarity,
        "titles": retriever.options.get("titles", "model"),
        "options": retriever.options,
        "max_length": retriever.max_length,
        "stored": retriever.stored,
        "dimensions": retriever.dimensions,
        "layers": len(layers),
        "heads": layers[0].heads,
        "epsilon": config.layer_norm_eps,
        "first_position": first,
        "pooling": pooling,
        "after": after,
    }


def _is_affine(dense: Any) -> bool:
    """Return whether a Dense module is a matrix and a bias, as a transform is written."""
    linear = getattr(dense, "linear", None)
    return (
        isinstance(linear, nn.Linear)
        and linear.bias is not None
        and isinstance(dense.activation_function, nn.Identity)
    )


def _prefix(weights: Path) -> str | None:
    """Return the prefix of the names of the encoder's weights in a file."""
    from safetensors import safe_open

    with safe_open(str(weights), framework="pt") as opened:
        names = list(opened.keys())
    end = "embeddings.word_embeddings.weight"
    found = [x.removesuffix(end) for x in names if x.endswith(end)]
    return found[0] if len(found) == 1 else None
