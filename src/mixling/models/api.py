"""Encoders behind an address: services that make embeddings, paid by the token.

Texts are sent in batches within the service's limits, several at once. Each vector is kept on disk
as soon as its answer is there, so nothing that was answered is asked for again: not by another run,
and not after a run was killed. Requests on their way at that moment are the only ones lost.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mixling.errors import MixlingError, check_at_least
from mixling.machine import cache_folder
from mixling.models.encoder import ExternalEncoder, Progress
from mixling.models.paid_vectors import PaidVectors, text_key
from mixling.models.prompts import TitleOption, model_inputs
from mixling.models.providers import PROMPTS, Body, find_provider
from mixling.models.service import ATTEMPTS, TIMEOUT, Service

logger = logging.getLogger(__name__)

CONCURRENCY = 8  # requests at once
RoleTexts = tuple[Sequence[str], str | None, Sequence[str | None] | None]
"""Texts, their role, and their titles."""


@dataclass(frozen=True)
class CostEstimate:
    """The estimated cost of encoding texts.

    Args:
        name: The encoder.
        texts: Distinct texts that would be sent.
        cached: Distinct texts whose vectors are on this machine.
        tokens: Tokens of the texts that would be sent.
        exact: Whether tokens were counted by the model's tokenizer, not estimated.
        price: Price of a million tokens, if it is known.
    """

    name: str
    texts: int
    cached: int
    tokens: int
    exact: bool
    price: float | None

    @property
    def cost(self) -> float | None:
        """The cost, in the currency of the price."""
        return None if self.price is None else self.tokens * self.price / 1e6

    def __str__(self) -> str:
        how = "counted by tiktoken" if self.exact else "estimated from their length"
        cost = "; give --price for the cost" if self.cost is None else f"; cost {self.cost:,.4f}"
        return (
            f"{self.name}: {self.texts:,} texts to send ({self.cached:,} more have vectors here), "
            f"{self.tokens:,} tokens ({how}){cost}"
        )


class DryRun(MixlingError):  # noqa: N818 - it is no error
    """Stops a dry run once the cost is known.

    Args:
        estimate: The cost.
    """

    exit_status = 0

    def __init__(self, estimate: CostEstimate):
        self.estimate = estimate
        super().__init__(f"{estimate}; nothing was sent")


class ApiEncoder(ExternalEncoder):
    """A service as an encoder.

    Args:
        spelling: `NAME:MODEL` of `PROVIDERS`, or the address of an OpenAI-compatible service with
            `#MODEL`.
        prompts: As for `ExternalEncoder`. Default: those of `PROMPTS`, if the model is there.
        similarity: As for `ExternalEncoder`.
        titles: As for `ExternalEncoder`.
        truncate_dim: Dimensions to ask the service for.
        query_options: Further fields of a request for queries.
        passage_options: Further fields of a request for passages.
        concurrency: Requests at once.
        price: Price of a million tokens.
        max_cost: Refuse to send what would cost more, in the currency of `price`.
        dry_run: Send nothing; raise `DryRun` with the cost.
        attempts: Times that a request is sent at most.
        timeout: Seconds that an answer may take.

    Raises:
        MixlingError: The service is unknown, there is no key, or an option cannot be used.
    """

    paid = True

    def __init__(
        self,
        spelling: str,
        *,
        prompts: dict[str, str] | None = None,
        similarity: str | None = None,
        titles: TitleOption = "model",
        truncate_dim: int | None = None,
        query_options: Body | None = None,
        passage_options: Body | None = None,
        concurrency: int = CONCURRENCY,
        price: float | None = None,
        max_cost: float | None = None,
        dry_run: bool = False,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
    ):
        super().__init__(
            spelling,
            "the service",
            prompts=PROMPTS.get(spelling) if prompts is None else prompts,
            similarity=similarity,
            titles=titles,
            truncate_dim=truncate_dim,
        )
        check_at_least(1, concurrency=concurrency, attempts=attempts)
        if max_cost is not None and price is None:
            raise MixlingError(
                f"--max-cost is {max_cost:g}, but no price is given. Give the price of a million "
                "tokens with --price."
            )
        check_at_least(0, price=price, max_cost=max_cost)
        if not timeout > 0:
            raise MixlingError(f"timeout is {timeout}. Expected a number of seconds above 0.")
        self.provider, self.model = find_provider(spelling)
        self.price, self.max_cost, self.dry_run = price, max_cost, dry_run
        self._concurrency = concurrency
        self._role_options = self._fields({"query": query_options, "passage": passage_options})
        if prompts is None:  # those of `PROMPTS` are the service's
            self.options.pop("prompts", None)
        given = {"query_options": query_options, "passage_options": passage_options}
        self.options.update({k: v for k, v in given.items() if v is not None})
        self._sent_tokens = 0
        self._service: Service | None = None
        self._attempts, self._timeout = attempts, timeout
        if not dry_run:
            self._service = Service(self.provider, self.model, attempts, timeout)
        self._paid = PaidVectors(cache_folder() / "embeddings" / f"{self._file_name()}.sqlite")
        self._dimensions = truncate_dim or self._paid.dimensions()

    def _fields(self, given: Mapping[str, Body | None]) -> dict[str, Body]:
        """Return the fields of a request by role: the service's own, the size, the user's."""
        size = {} if self.truncate_dim is None else {self.provider.size_field: self.truncate_dim}
        return {
            role: {**self.provider.role_options.get(role, {}), **size, **(given.get(role) or {})}
            for role in ("query", "passage", "")
        }

    def _file_name(self) -> str:
        """Return a name for the file of vectors: service, model and size."""
        key = text_key(f"{self.provider.address} {self.truncate_dim}", self.model)
        return key.hex()[:24]

    def identity(self) -> dict[str, Any]:
        """Return address, model and fields of requests."""
        return {
            "address": self.provider.address,
            "model": self.model,
            "fields": self._role_options,
        }

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text by tiktoken, or estimate them where that is not here."""
        encoding = self._tiktoken()
        if encoding is None:
            return super().count_tokens(texts)
        return [len(ids) for ids in encoding.encode_ordinary_batch(list(texts))]

    def _tiktoken(self) -> Any:
        return _tiktoken(self.model) if self.provider.key == "OPENAI_API_KEY" else None

    def estimate(self, parts: Iterable[RoleTexts]) -> CostEstimate:
        """Estimate the cost of encoding texts; nothing is sent.

        Args:
            parts: Texts with their roles and titles.

        Returns:
            The cost of those that have no vector here.
        """
        seen = set[bytes]()
        new = cached = tokens = 0
        for texts, role, titles in parts:
            inputs = model_inputs(self.prompt(role), self._titles.value, texts, titles)
            by_key = dict(zip(self._keys(inputs, role), inputs, strict=True))
            unseen = [key for key in by_key if key not in seen]
            seen.update(unseen)
            found = self._paid.read(unseen)
            missing = [by_key[key] for key in unseen if key not in found]
            cached, new = cached + len(found), new + len(missing)
            tokens += sum(self.count_tokens(missing))
        exact = self._tiktoken() is not None
        return CostEstimate(self.name, new, cached, tokens, exact, self.price)

    def check_cost(self, parts: Iterable[RoleTexts]) -> None:
        """Report and check the cost of all texts of a command before the first is sent.

        Args:
            parts: Texts with their roles and titles.

        Raises:
            DryRun: The encoder was made for a dry run.
            MixlingError: The cost is above `max_cost`.
        """
        if self.dry_run or self.price is not None:
            estimate = self.estimate(parts)
            if self.dry_run:
                raise DryRun(estimate)
            logger.info("%s", estimate)
            self._check_max_cost(estimate.tokens)

    def _check_max_cost(self, tokens: int) -> None:
        """Refuse to send so many tokens where all that is sent would cost more than `max_cost`."""
        if self.price is None or self.max_cost is None:
            return
        cost = (self._sent_tokens + tokens) * self.price / 1e6
        if cost > self.max_cost:
            raise MixlingError(
                f"{self.name}: {tokens:,} tokens more would bring the cost to {cost:,.4f}, and "
                f"--max-cost is {self.max_cost:g}. Nothing of them was sent. Take fewer texts, "
                "or raise --max-cost."
            )

    def _keys(self, inputs: Sequence[str], role: str | None) -> list[bytes]:
        options = json.dumps(self._role_options[role or ""], sort_keys=True)
        return [text_key(options, text) for text in inputs]

    def embed_inputs(
        self, inputs: list[str], role: str | None, progress: Progress | None
    ) -> np.ndarray:
        """Return vectors from the disk, and ask the service for those that are missing."""
        keys = self._keys(inputs, role)
        vectors = self._paid.read(list(dict.fromkeys(keys)))
        missing: dict[bytes, str] = {}
        for key, text in zip(keys, inputs, strict=True):
            if key not in vectors:
                if not text.strip():
                    raise MixlingError(
                        f"{self.name}: text {len(missing) + 1} of those that have no vector yet "
                        "is empty, and services refuse empty texts. Leave the text out."
                    )
                missing[key] = text
        counts = self.count_tokens(list(missing.values())) if missing else []
        if missing:
            self._before_sending(missing, sum(counts))
            total, done = len(missing), 0
            for part, answered in self._ask_all(list(missing.items()), counts, role):
                vectors.update(zip(part, answered, strict=True))
                done += len(part)
                if progress is not None:
                    progress(done, total)
        return np.stack([vectors[key] for key in keys])

    def _before_sending(self, missing: Mapping[bytes, str], tokens: int) -> None:
        """Refuse texts that may not be sent, and count the tokens of the others."""
        if self.dry_run:
            exact = self._tiktoken() is not None
            raise DryRun(CostEstimate(self.name, len(missing), 0, tokens, exact, self.price))
        self._check_max_cost(tokens)
        self._sent_tokens += tokens

    def _ask_all(
        self, items: list[tuple[bytes, str]], counts: list[int], role: str | None
    ) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Ask for vectors by several requests at once; keep each answer, then yield it.

        Where a request fails, those on their way are awaited and kept before the error is raised.
        """
        assert self._service is not None
        service, fields = self._service, self._role_options[role or ""]
        batches = list(_batches(counts, self.provider.max_texts, self.provider.max_tokens))
        pool = ThreadPoolExecutor(min(self._concurrency, len(batches)), "embeddings")
        running: dict[Future[np.ndarray], list[bytes]] = {}
        waiting = iter(batches)
        try:
            while True:
                while len(running) < self._concurrency:
                    rows = next(waiting, None)
                    if rows is None:
                        break
                    texts = [items[i][1] for i in rows]
                    running[pool.submit(service.vectors, texts, fields)] = [
                        items[i][0] for i in rows
                    ]
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    keys = running[future]
                    vectors = self._checked_size(future.result())
                    self._paid.write(keys, vectors)
                    del running[future]
                    yield keys, vectors
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for future, keys in running.items():
                if not future.cancelled() and future.exception() is None:
                    self._paid.write(keys, self._checked_size(future.result()))

    def _checked_size(self, vectors: np.ndarray) -> np.ndarray:
        """Refuse vectors of another size than asked for or than before."""
        expected = self.truncate_dim or self._dimensions
        if expected not in (0, vectors.shape[1]):
            asked = "were asked for" if self.truncate_dim else "came before"
            raise MixlingError(
                f"{self.name}: the service answers with vectors of {vectors.shape[1]} numbers, "
                f"but {expected} {asked}. Either the model behind this name has changed, or its "
                "vectors cannot be cut to this size (leave --truncate-dim out)."
            )
        self._dimensions = vectors.shape[1]
        return vectors


def _batches(counts: Sequence[int], max_texts: int, max_tokens: int) -> Iterator[list[int]]:
    """Yield the rows of batches within a service's limits, in order; a long text goes alone."""
    batch, size = list[int](), 0
    for row, tokens in enumerate(counts):
        if batch and (len(batch) == max_texts or size + tokens > max_tokens):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += tokens
    if batch:
        yield batch


@cache
def _tiktoken(model: str) -> Any:
    """Return OpenAI's tokenizer of a model, None where it is not on this machine."""
    try:
        import tiktoken

        return tiktoken.encoding_for_model(model)
    except Exception:  # not installed, its file cannot be fetched, or the model is unknown
        return None
