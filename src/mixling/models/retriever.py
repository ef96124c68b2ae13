"""The retriever: an encoder with its pooling and prompts; on disk an ordinary sentence-transformers folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixling.disk import new_folder
from mixling.errors import MixlingError, check_finite_vectors, choose
from mixling.models import chain, shipped, stored, trust
from mixling.models.forward import batches_by_tokens, forward_tokens, token_budgets
from mixling.models.identify import identify_languages
from mixling.models.language_transform import LanguageTransformModule
from mixling.models.packed import first_position
from mixling.models.precision import Precision, choose_precision
from mixling.models.weights import DEFAULT, Conventions, conventions, in_hub_cache, locate_model

POOLINGS = ("mean", "cls", "max", "lasttoken")
SIMILARITIES = ("cosine", "dot", "dot_product")
# prompts by these names are used: of sentence-transformers' names for a passage the first that is there
PASSAGE = ("document", "passage", "corpus")
ROLES = ("query", *PASSAGE)
# a tokenizer without a limit gives 10^30
NO_LIMIT = 1_000_000


class Retriever:
    """Texts to vectors.

    name: a sentence-transformers folder, a plain encoder's folder, a hub name, or "balanced": the default encoder behind
    the map that comes with this package. pooling ("mean", "cls" …)
    and prompts ({"query": …, "passage": …}) override what the model says of itself. packed: texts go through
    without padding where the encoder can take them so. similarity: "cosine" or "dot", else the model's. trust_remote_code: run
    Python code that the model's files bring (models/trust.py); without it such a model is refused. Raises MixlingError when the model cannot be had.

    >>> Retriever("intfloat/multilingual-e5-small").encode(["habari ya asubuhi"], role="query").shape
    (1, 384)
    """

    def __init__(
        self,
        name: str = DEFAULT,
        *,
        device: str | None = None,
        pooling: str | None = None,
        prompts: dict[str, str] | None = None,
        max_length: int | None = None,
        packed: bool = True,
        similarity: str | None = None,
        trust_remote_code: bool = False,
    ):
        folder, found_name = locate_model(DEFAULT if name == shipped.NAME else name)
        self.name = shipped.NAME if name == shipped.NAME else found_name
        known = conventions(found_name) or Conventions()
        report: list[tuple[str, str]] = []
        try:
            trust.examine(folder, name, trust_remote_code)
            with stored.reports(report):
                if pooling is None and self._is_chain(folder):
                    chain.of_kind(folder, name)
                    self.model = trust.chain(folder, device, trust_remote_code)
                    found = str(self.model.similarity_fn_name)
                else:
                    self.model = _plain(
                        folder,
                        choose(pooling or known.pooling, POOLINGS, "pooling"),
                        device,
                        trust_remote_code,
                    )
                    found = known.similarity
            chain.examine(self.model, name, similarity)
            stored.complete(report, name, self.model[0].module_output_name == "sentence_embedding")
            stored.merge_adapters(self.encoder, name)
            chain.truncated(self.model)
            self.model.float()
        except MixlingError:
            raise
        except Exception as error:
            stored.complete(report, name, pooled=True)
            raise trust.explained(
                error,
                folder,
                name,
                trust_remote_code,
                "not a model that can be loaded",
                "a folder needs config.json, weights and a tokenizer, as save_pretrained or sentence-transformers write them",
            ) from None
        if name == shipped.NAME:
            for module in shipped.shipped_modules():
                self.model.append(module)
        own = {k: v for k, v in (self.model.prompts or {}).items() if v}
        self.prompts = dict(prompts if prompts is not None else own or known.prompts)
        similarity = similarity or found
        choose(similarity, SIMILARITIES, "similarity")
        self.similarity = "dot" if similarity in ("dot", "dot_product") else "cosine"
        self.max_length = self._longest(max_length)
        self.model.eval()
        self.packed = packed
        local = folder if Path(folder).is_dir() else in_hub_cache(folder)
        self.stored = stored.number_format(local) if local else ""
        self._say()
        chain.prompt_kept(self)
        chain.agree(self)
        self.calibration: dict[str, Any] = trust.beside(folder, "scores.json")
        self.origin: dict[str, Any] = trust.beside(folder, "origin.json")

    def _longest(self, asked: int | None) -> int:
        """Tokens of a text at most: as asked for, as the tokenizer says, and as the encoder has positions."""
        if asked is not None and asked < 1:
            raise MixlingError(f"max_length is {asked}; expected a number of tokens from 1")
        limit = min(self.model.max_seq_length or 512, NO_LIMIT)
        learnt = stored.positions(self.encoder)
        if learnt is not None and learnt < limit:
            self.model.max_seq_length = limit = learnt
        return int(min(asked or limit, limit))

    def _say(self) -> None:
        """One line each of what a user would not expect: numbers stored in half precision, prompts that no role has."""
        if self.stored not in ("", "fp32"):
            print(
                f"mixling: {self.name}: stored in {self.stored}, computed in fp32", file=sys.stderr
            )
        unused = sorted(k for k, v in self.prompts.items() if v and k not in ROLES)
        without = [role for role in ("query", "passage") if not self.prompt(role)]
        if unused and without:
            print(
                f"mixling: {self.name}: texts as {' and '.join(without)} get no prompt; the model has prompts of other names, which "
                f"are not used: {', '.join(unused)}",
                file=sys.stderr,
            )
        own = {k: v for k, v in (self.model.prompts or {}).items() if v}
        named = next((n for n in PASSAGE if own.get(n)), None)
        if named not in (None, "document") and self.prompts == own:
            print(
                f"mixling: {self.name}: its prompt '{named}' stands before passages; encode_document of sentence-transformers uses "
                "'document', which it lacks, and so no prompt",
                file=sys.stderr,
            )

    @staticmethod
    def _is_chain(folder: str) -> bool:
        if Path(folder).is_dir():
            return (Path(folder) / "modules.json").exists()
        from huggingface_hub import file_exists

        return file_exists(folder, "modules.json")

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer."""
        return self.model.tokenizer

    @property
    def encoder(self) -> Any:
        """The transformers model inside."""
        return self.model[0].auto_model

    @property
    def device(self) -> torch.device:
        """The device of the encoder's weights."""
        return next(self.model.parameters()).device

    @property
    def pad(self) -> int:
        """The padding token's id."""
        return int(self.tokenizer.pad_token_id or 0)

    @cached_property
    def _first_position(self) -> int | None:
        return first_position(self.model, self.pad, self.head_modules())

    @property
    def first_position(self) -> int | None:
        """Position of a text's first token when texts go packed, None when they go padded; found by a trial, once."""
        return self._first_position if self.packed else None

    @property
    def dimensions(self) -> int:
        """Size of a vector."""
        return int(self.model.get_embedding_dimension() or 0)

    def prompt(self, role: str | None) -> str:
        """What is put before a text in a role ("query", "passage"; None: nothing)."""
        if role is None:
            return ""
        choose(role, ("query", "passage"), "role")
        names = PASSAGE if role == "passage" else (role,)
        return next((self.prompts[n] for n in names if self.prompts.get(n)), "")

    def tokenize(
        self, texts: Sequence[str], role: str | None = None, max_length: int | None = None
    ) -> list[list[int]]:
        """Token ids of each text with its prompt, cut at max_length. Raises MixlingError for a text without any."""
        prompt = self.prompt(role)
        if max_length is not None and max_length < 1:
            raise MixlingError(f"max_length is {max_length}; expected a number of tokens from 1")
        limit = self.max_length if max_length is None else min(max_length, self.max_length)
        tokens = self.tokenizer(
            [prompt + t for t in texts],
            truncation=True,
            max_length=limit,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        empty = next((i for i, ids in enumerate(tokens) if not ids), None)
        if empty is not None:
            raise MixlingError(
                f"{self.name}: its tokenizer makes no token of text {empty + 1} of {len(tokens)} ({texts[empty][:40]!r}), so it has no "
                "vector; leave the text out"
            )
        return tokens

    def embed(
        self,
        tokens: Sequence[Sequence[int]],
        max_tokens: int | None = None,
        states: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Vectors of tokenized texts, with gradients if they are on: float32 [n, dimensions].

        budget: tokens a call; states: a list that is filled with the states of each text's tokens, [tokens, d] each.
        """
        max_tokens = max_tokens or token_budgets(self.device).encode
        return forward_tokens(self.model, tokens, self.pad, max_tokens, self.first_position, states)

    def encode(
        self,
        texts: Sequence[str],
        role: str | None = None,
        *,
        languages: Sequence[str] | None = None,
        precision: Precision = "auto",
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Vectors of texts: float32 [n, dimensions].

        role: "query" or "passage" puts the model's prompt before the text, None puts nothing. languages: of the
        texts, for a model that needs them (None: they are identified). precision: "fp32" or "bf16". budget: tokens
        that go through in one call (None: 1,024 on a CPU, 65,536 on a GPU).
        progress(tokens done, tokens in all) is called as it goes on.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        tokens = self.tokenize(texts, role)
        made = self.encode_head(
            tokens, precision=precision, max_tokens=max_tokens, progress=progress, names=texts
        )
        return self.encode_tail(made, texts, role, languages)

    def language_transform(self) -> LanguageTransformModule | None:
        """The module that needs a text's language, if there is one."""
        return next((m for m in self.model if isinstance(m, LanguageTransformModule)), None)

    def head_modules(self) -> list[torch.nn.Module]:
        """The chain up to its last module that is neither a normalization nor a linear layer: what is costly."""
        modules = list(self.model)
        while len(modules) > 1 and type(modules[-1]).__name__ in (
            "Normalize",
            "Dense",
            "LanguageTransformModule",
        ):
            modules.pop()
        return modules

    def encode_head(
        self,
        tokens: Sequence[Sequence[int]],
        *,
        precision: Precision = "auto",
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        names: Sequence[str] | None = None,
    ) -> np.ndarray:
        """What `head` makes of tokenized texts: float32 [n, size]; arguments as in `encode`. names: the texts or their ids, by which
        NotFinite calls one whose vector holds NaN or infinity."""
        lengths = [len(t) for t in tokens]
        done, total = 0, sum(lengths)
        head = torch.nn.Sequential(*self.head_modules())
        bf16 = choose_precision(self.device, precision) == "bf16"
        out = np.empty((len(tokens), 0), np.float32)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
        ):
            first, max_tokens = self.first_position, max_tokens or token_budgets(self.device).encode
            for indices in batches_by_tokens(lengths, max_tokens, first is not None):
                part = (
                    forward_tokens(head, [tokens[i] for i in indices], self.pad, max_tokens, first)
                    .cpu()
                    .numpy()
                )
                if not out.shape[1]:
                    out = np.empty((len(tokens), part.shape[1]), np.float32)
                out[indices] = check_finite_vectors(
                    part, lambda i, of=indices: _named(names, of[i]), self.name
                )  # type: ignore[misc]
                done += sum(lengths[i] for i in indices)
                if progress is not None:
                    progress(done, total)
        return out

    def encode_tail(
        self,
        vectors: np.ndarray,
        texts: Sequence[str] | None = None,
        role: str | None = None,
        languages: Sequence[str] | None = None,
        modules: Sequence[torch.nn.Module] | None = None,
    ) -> np.ndarray:
        """The rest of the chain on what `encode_head` gave: float32 [n, dimensions].

        texts or their languages: for a model that needs a text's language. modules: the rest, where vectors have come further.
        """
        modules = list(self.model)[len(self.head_modules()) :] if modules is None else modules
        with torch.inference_mode():
            features: dict[str, Any] = {
                "sentence_embedding": torch.from_numpy(vectors).to(self.device, torch.float32)
            }
            needs = self.language_transform()
            if needs is not None and (languages is not None or texts is not None):
                named = (
                    languages
                    if languages is not None
                    else identify_languages(texts or [], needs.languages)
                )
                features.update(text_language=list(named), text_role=role)
            for module in modules:
                features = module(features)
        made = features["sentence_embedding"].float().cpu().numpy()
        return check_finite_vectors(made, lambda i: _named(texts, i), self.name)

    def save(self, folder: str | Path, card: str | None = None, origin: dict | None = None) -> None:
        """Write an ordinary sentence-transformers folder (complete or not at all) with prompts and card."""
        folder = Path(folder)
        self.model.prompts = {
            **self.prompts,
            "document": self.prompt("passage"),
            "query": self.prompt("query"),
        }
        self.model.similarity_fn_name = self.similarity  # type: ignore[assignment]
        with new_folder(folder) as temporary:
            self.model.save(str(temporary), create_model_card=False)
            if card is not None:
                (temporary / "README.md").write_text(card, encoding="utf-8")
            if origin is not None:
                (temporary / "origin.json").write_text(
                    json.dumps(origin, indent=1, ensure_ascii=False)
                )


def _named(names: Sequence[str] | None, row: int) -> str:
    """A text as a message names it: by its id or first characters, else by its place."""
    return f"text {row + 1}" if names is None else repr(names[row][:60])


def _plain(folder: str, pooling: str, device: str | None, trusted: bool) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    passed: dict[str, Any] = {k: {"trust_remote_code": trusted} for k in trust.PASSED_ON}
    passed["model_kwargs"]["dtype"] = torch.float32
    transformer = Transformer(folder, **passed)
    transformer.modality_config.pop(
        "message", None
    )  # texts go in as they are, without a chat template
    dimension = int(transformer.get_embedding_dimension())
    return SentenceTransformer(modules=[transformer, Pooling(dimension, pooling)], device=device)
