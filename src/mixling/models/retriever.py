"""Encode texts by an encoder with its pooling and prompts.

On disk a retriever is an ordinary sentence-transformers folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mixling.corpora.values import with_titles
from mixling.errors import MixlingError, check_at_least, check_finite_vectors, choose
from mixling.models import chain, trust
from mixling.models.encoder import is_external, no_weights
from mixling.models.fingerprints import full_fingerprint
from mixling.models.forward import batches_by_tokens, forward_tokens, token_budgets
from mixling.models.identify import identify_languages
from mixling.models.language_transform import LanguageTransformModule
from mixling.models.load_model import load_model
from mixling.models.loading import log_surprises
from mixling.models.packing_trial import first_position
from mixling.models.precision import Precision, choose_precision
from mixling.models.prompts import ROLES, TitleOption, model_inputs
from mixling.models.saving import save_model
from mixling.models.settings import resolve_titles
from mixling.models.weights import DEFAULT
from mixling.threads import fitting_threads

TAIL = ("Normalize", "Dense", "LanguageTransformModule", "HubCorrectionModule")


class Retriever:
    """An encoder with its pooling and prompts, which turns texts into vectors.

    Args:
        name: A sentence-transformers folder, a plain encoder's folder, a hub name, or "balanced",
            the default encoder with the transform that comes with this package.
        device: Where to compute, for instance "cpu" or "cuda". Default: a GPU if there is one.
        pooling: "mean", "cls", "max" or "lasttoken". Default: the model's.
        prompts: Prompts by role, such as `{"query": "query: "}`, "" for none. A role that is
            missing has the model's.
        max_length: Tokens of a text at most. Default: the model's limit.
        packed: Let texts go through without padding where the encoder can take them so.
        similarity: "cosine" or "dot". Default: the model's.
        titles: How titles are read: as the model was trained with them ("model"), as "title text"
            ("joined"), or not at all ("none").
        truncate_dim: Cut vectors to their first numbers, for a model that was trained so.
        task_description: What a query is for, for a model whose prompt is an instruction.
        trust_remote_code: Run Python code that the model's files bring. Without it such a model is
            refused.

    Attributes:
        settings: How the model is used, and where each setting comes from.
        options: The arguments above that were given and change vectors or scores.

    Raises:
        MixlingError: The model cannot be found, loaded or used.

    Example:
        >>> Retriever("intfloat/multilingual-e5-small").encode(["habari ya asubuhi"], "query").shape
        (1, 384)
    """

    paid = False  # whether each text costs money, as services do

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
        titles: TitleOption = "model",
        truncate_dim: int | None = None,
        task_description: str | None = None,
        trust_remote_code: bool = False,
    ):
        given = {
            "pooling": pooling, "prompts": prompts, "max_length": max_length,
            "similarity": similarity, "titles": None if titles == "model" else titles,
            "truncate_dim": truncate_dim, "task_description": task_description,
        }  # fmt: skip
        self.options: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        if is_external(name):
            raise no_weights(name, "this")
        loaded = load_model(
            name, device=device, trust_remote_code=trust_remote_code, options=self.options
        )
        self.model, self.name, self.settings = loaded.model, loaded.name, loaded.settings
        self.prompts = loaded.prompts
        self.similarity: Literal["cosine", "dot"] = self.settings.similarity.value
        self.max_length: int = self.settings.max_length.value
        self.stored: str = self.settings.stored.value
        self.packed = packed
        self.model.eval()
        log_surprises(self)
        chain.check_prompt_pooling(self)
        chain.check_vectors(self)
        self.calibration: dict[str, Any] = trust.read_companion(loaded.folder, "scores.json")
        self.origin: dict[str, Any] = trust.read_companion(loaded.folder, "origin.json")

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
        return torch.device(next(self.model.parameters()).device)

    @property
    def pad(self) -> int:
        """The padding token's id."""
        return int(self.tokenizer.pad_token_id or 0)

    @cached_property
    def _first_position(self) -> int | None:
        return first_position(self.model, self.pad, self.head_modules())

    @property
    def first_position(self) -> int | None:
        """Position of a text's first token if texts are packed, else None; one trial tells."""
        return self._first_position if self.packed else None

    @property
    def dimensions(self) -> int:
        """Size of a vector."""
        return int(self.model.get_embedding_dimension() or 0)

    def read_titles(self, option: TitleOption) -> None:
        """Change how titles are read from now on, also by the model as it is saved.

        Args:
            option: "model", "joined" or "none", as for the class.

        Raises:
            MixlingError: The option is unknown.
        """
        titles = resolve_titles(option, self.prompt("passage"), {})
        self.settings = dataclasses.replace(self.settings, titles=titles)

    def prompt(self, role: str | None) -> str:
        """Return the prompt of a role.

        Args:
            role: "query" or "passage"; None has no prompt.

        Returns:
            The text to put before each text, which may be empty.
        """
        if role is None:
            return ""
        return self.prompts.get(choose(role, ROLES, "role"), "")

    def tokenize(
        self,
        texts: Sequence[str],
        role: str | None = None,
        max_length: int | None = None,
        titles: Sequence[str | None] | None = None,
    ) -> list[list[int]]:
        """Cut texts into tokens.

        Args:
            texts: The texts.
            role: "query" or "passage" puts the model's prompt first; None puts nothing.
            max_length: Tokens of a text at most, if fewer than the model's limit.
            titles: Titles of the texts, which the model reads in its own way (`settings.titles`).

        Returns:
            Token ids of each text, special tokens included.

        Raises:
            MixlingError: A text has no token.
        """
        inputs = model_inputs(self.prompt(role), self.settings.titles.value, texts, titles)
        check_at_least(1, max_length=max_length)
        limit = self.max_length if max_length is None else min(max_length, self.max_length)
        tokens = self.tokenizer(
            inputs,
            truncation=True,
            max_length=limit,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        empty = next((i for i, ids in enumerate(tokens) if not ids), None)
        if empty is not None:
            raise MixlingError(
                f"{self.name}: its tokenizer makes no token of text {empty + 1} of {len(tokens)} "
                f"({texts[empty][:40]!r}), so the text has no vector. Leave it out."
            )
        return list(tokens)

    def embed(
        self,
        tokens: Sequence[Sequence[int]],
        max_tokens: int | None = None,
        states: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the vectors of tokenized texts, with gradients where they are enabled.

        Args:
            tokens: Token ids of each text.
            max_tokens: Tokens of one call of the encoder. Default: `token_budgets(device).encode`.
            states: A list that is extended by the states of each text's tokens, `[tokens, dim]`.

        Returns:
            float32 `[n, dimensions]`.
        """
        max_tokens = max_tokens or token_budgets(self.device).encode
        return forward_tokens(self.model, tokens, self.pad, max_tokens, self.first_position, states)

    def encode(
        self,
        texts: Sequence[str],
        role: str | None = None,
        *,
        titles: Sequence[str | None] | None = None,
        languages: Sequence[str] | None = None,
        precision: Precision = "auto",
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Encode texts.

        Args:
            texts: The texts.
            role: "query" or "passage" puts the model's prompt first; None puts nothing.
            titles: Titles of the texts, which the model reads in its own way (`settings.titles`).
            languages: Languages of the texts, for a model that needs them. Default: they are
                identified.
            precision: Number format to compute in.
            max_tokens: Tokens of one call of the encoder. Default: `token_budgets(device).encode`.
            progress: Called as `progress(tokens_done, tokens_in_all)`.

        Returns:
            float32 `[n, dimensions]`.

        Raises:
            MixlingError: A text has no token, or its vector holds NaN or infinity.

        Example:
            >>> retriever = Retriever()
            >>> q = retriever.encode(["Wer baute die Brücke?"], "query")
            >>> p = retriever.encode(["The bridge was built by a monk."], "passage")
            >>> (q @ p.T).shape
            (1, 1)
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        tokens = self.tokenize(texts, role, titles=titles)
        names = with_titles(titles, texts)
        vectors = self.encode_head(
            tokens, precision=precision, max_tokens=max_tokens, progress=progress, names=names
        )
        return self.encode_tail(vectors, names, role, languages)

    def fingerprint(self) -> str:
        """Return a hash of all that the vectors depend on (see `full_fingerprint`)."""
        return full_fingerprint(self)

    def language_transforms(self) -> list[LanguageTransformModule]:
        """Return the modules that need a text's language."""
        return [m for m in self.model if isinstance(m, LanguageTransformModule)]

    def head_modules(self) -> list[torch.nn.Module]:
        """Return the chain without the normalizations and linear layers at its end."""
        modules = list(self.model)
        while len(modules) > 1 and type(modules[-1]).__name__ in TAIL:
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
        """Encode tokenized texts by `head_modules`, the costly part of the chain.

        Args:
            tokens: Token ids of each text.
            precision: Number format to compute in.
            max_tokens: Tokens of one call of the encoder. Default: `token_budgets(device).encode`.
            progress: Called as `progress(tokens_done, tokens_in_all)`.
            names: The texts or their ids, for messages.

        Returns:
            float32 `[n, size]`.

        Raises:
            NotFiniteError: A vector holds NaN or infinity.
        """
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
                call = [tokens[i] for i in indices]
                with fitting_threads(sum(map(len, call))):
                    vectors = forward_tokens(head, call, self.pad, max_tokens, first)
                part = vectors.cpu().numpy()
                if not out.shape[1]:
                    out = np.empty((len(tokens), part.shape[1]), np.float32)
                name_of_row = partial(_text_name_in_call, names, indices)
                out[indices] = check_finite_vectors(part, name_of_row, self.name)
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
        """Apply the rest of the chain to what `encode_head` returns.

        Args:
            vectors: float `[n, size]`.
            texts: The texts, for a model that needs their languages.
            role: "query", "passage" or None.
            languages: The languages of the texts. Default: they are identified.
            modules: The rest of the chain, where the vectors have come further.

        Returns:
            float32 `[n, dimensions]`.

        Raises:
            NotFiniteError: A vector holds NaN or infinity.
        """
        modules = list(self.model)[len(self.head_modules()) :] if modules is None else modules
        with torch.inference_mode():
            features: dict[str, Any] = {
                "sentence_embedding": torch.from_numpy(vectors).to(self.device, torch.float32),
                "text_role": role,
            }
            modules_by_language = self.language_transforms()
            if modules_by_language and (languages is not None or texts is not None):
                if languages is None:
                    among = list(dict.fromkeys(x for m in modules_by_language for x in m.languages))
                    unknown = [""] * len(vectors)
                    languages = identify_languages(texts or [], among) if among else unknown
                features["text_language"] = list(languages)
            for module in modules:
                features = module(features)
        output = features["sentence_embedding"].float().cpu().numpy()
        return check_finite_vectors(output, partial(_text_name, texts), self.name)

    def save(
        self, folder: str | Path, card: str | None = None, origin: dict[str, Any] | None = None
    ) -> None:
        """Write an ordinary sentence-transformers folder, all or nothing.

        Args:
            folder: The folder to write.
            card: The model card, written as README.md, with the settings at its end.
            origin: How the model was made, written as origin.json.
        """
        save_model(self, Path(folder), card, origin)


def _text_name_in_call(names: Sequence[str] | None, indices: list[int], row: int) -> str:
    """Name a text in a message by its row in a call of the encoder."""
    return _text_name(names, indices[row])


def _text_name(names: Sequence[str] | None, row: int) -> str:
    """Name a text in a message by its id or first characters, else by its number."""
    return f"text {row + 1}" if names is None else repr(names[row][:60])
