"""Ask a service for vectors: one request, sent again where the service is busy or fails."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from time import sleep, time
from typing import Any, TypeVar

import numpy as np

from mixling.errors import MixlingError
from mixling.models.encoder import as_vectors
from mixling.models.providers import FORMS, Body, Provider, key_header

logger = logging.getLogger(__name__)

ATTEMPTS = 8
TIMEOUT = 120.0  # seconds
FIRST_DELAY, MAX_DELAY = 0.5, 60.0  # seconds before the second attempt, and at most
BUSY = (408, 409, 425, 429)  # and 500 and above
Answer = TypeVar("Answer")


class BadAnswerError(Exception):
    """An answer that lacks vectors or holds something else."""


class Service:
    """A service and its key, which stands in no message.

    Args:
        provider: The service.
        model: The model.
        attempts: Times that a request is sent at most.
        timeout: Seconds that an answer may take.

    Raises:
        MixlingError: There is no key, or the package openai is missing.
    """

    def __init__(
        self, provider: Provider, model: str, attempts: int = ATTEMPTS, timeout: float = TIMEOUT
    ):
        try:
            import httpx
            import openai
        except ImportError:
            raise MixlingError(
                f"{provider.address}: the package openai is not installed. Install it with: pip "
                "install 'mixling[api]'"
            ) from None
        self.provider, self.model, self.attempts = provider, model, attempts
        self.tokens = 0  # that the service says it has read
        self.keeps_answers = True  # whether what was answered is on disk when a request fails
        self._key = provider.api_key()
        self._ask: Callable[[Sequence[str], Body], Any]
        if provider.form == "openai":
            self._client = openai.OpenAI(
                base_url=provider.address,
                api_key=self._key or "none",
                max_retries=0,  # attempts are counted here
                timeout=timeout,
            )
            self._ask = self._ask_openai
        else:
            self.http = httpx.Client(timeout=timeout, headers=key_header(provider.form, self._key))
            self._ask = self._ask_other

    def vectors(self, texts: Sequence[str], options: Body) -> np.ndarray:
        """Ask for the vectors of texts.

        Args:
            texts: The texts of one request.
            options: Further fields of the request.

        Returns:
            float32 `[n, dim]`, in the order of the texts.

        Raises:
            MixlingError: The service refuses, or gives no whole answer at the last attempt.
        """
        return self.request(lambda: self._checked(self._ask(texts, options), len(texts)))

    def request(self, ask: Callable[[], Answer]) -> Answer:
        """Send a request, again where the service is busy, fails or answers badly.

        Args:
            ask: Sends the request and returns what it asks for. It raises `BadAnswerError` where
                the answer lacks that.

        Returns:
            What `ask` returns.

        Raises:
            MixlingError: The service refuses, or gives no whole answer at the last attempt.
        """
        import httpx
        import openai

        for attempt in range(1, self.attempts + 1):
            try:
                return ask()
            except (openai.APIStatusError, httpx.HTTPStatusError) as error:
                reason = f"HTTP {error.response.status_code}: {_message(error.response)}"
                if not _is_busy(error.response):
                    raise self._error(f"the service refuses the request: {reason}") from None
                delay = _retry_after(error.response)
            except (openai.APITimeoutError, httpx.TimeoutException):
                reason, delay = "the service does not answer in time", None
            except (openai.APIConnectionError, httpx.TransportError) as error:
                cause = error.__cause__ or error
                reason, delay = f"there is no connection ({type(cause).__name__})", None
            except (BadAnswerError, openai.APIError, ValueError, KeyError, TypeError) as error:
                kind = f"{type(error).__name__}: " if isinstance(error, KeyError) else ""
                reason, delay = f"the answer cannot be used: {kind}{error}", None
            if attempt == self.attempts:
                raise self._error(
                    f"the service gives no complete answer in {attempt} attempts: {reason}"
                )
            wait = _backoff(attempt) if delay is None else delay
            logger.info(
                "%s: %s; Mixling asks again in %.1f s",
                self.provider.address,
                self._hide(reason),
                wait,
            )
            sleep(wait)
        raise AssertionError("a request has one attempt or more")

    def _ask_openai(self, texts: Sequence[str], options: Body) -> list[Any]:
        """Ask in OpenAI's form, and put the vectors into the order of the texts."""
        answer = self._client.embeddings.create(
            model=self.model, input=list(texts), extra_body=options
        )
        data = list(answer.data or [])
        places = [item.index for item in data]
        if sorted(places) != list(range(len(texts))):
            raise BadAnswerError(
                f"it has {len(data)} vectors for {len(texts)} texts, or their `index` is wrong"
            )
        if answer.usage is not None:
            self.tokens += answer.usage.total_tokens or 0
        vectors: list[Any] = [None] * len(data)
        for item in data:
            vectors[item.index] = item.embedding
        return vectors

    def _ask_other(self, texts: Sequence[str], options: Body) -> list[Any]:
        """Ask in the service's own form, whose vectors stand in the order of the texts."""
        make, read = FORMS[self.provider.form]
        url, body = make(self.provider.address, self.model, texts, options)
        response = self.http.post(url, json=body)
        response.raise_for_status()
        return read(response.json())

    def _checked(self, answer: list[Any], n: int) -> np.ndarray:
        """Return an answer as an array, or raise `BadAnswerError`."""
        try:
            vectors = as_vectors(answer, n, self.provider.address)
        except MixlingError as error:
            raise BadAnswerError(str(error)) from None
        if not np.isfinite(vectors).all():
            raise BadAnswerError("a vector holds NaN or infinity")
        return vectors

    def _error(self, text: str) -> MixlingError:
        kept = " The answers so far are kept. Run the same command again to continue."
        return MixlingError(
            f"{self.provider.address}, model {self.model}: {self._hide(text).rstrip('.')}."
            f"{kept if self.keeps_answers else ''}"
        )

    def _hide(self, text: str) -> str:
        """Return a text without the key, and without parts of it."""
        if self._key:
            text = text.replace(self._key, "***")
        return re.sub(r"\b(sk|pa|jina)[-_][\w*-]{6,}|\bAIza[\w*-]{6,}", "***", text)


def _message(response: Any) -> str:
    """Return a service's message about an error, in one line."""
    try:
        body = response.json()
        error = body.get("error", body) if isinstance(body, dict) else body
        text = error.get("message", error) if isinstance(error, dict) else error
    except ValueError:
        text = response.text
    return " ".join(str(text).split())[:300]


def _is_busy(response: Any) -> bool:
    """Return whether the same request may be answered later."""
    if response.status_code == 429 and "insufficient_quota" in response.text:
        return False  # the account has no money left
    return response.status_code in BUSY or response.status_code >= 500


def _retry_after(response: Any) -> float | None:
    """Return the seconds that a service asks to wait, None if it does not.

    They are in the header Retry-After, as seconds or as a date, in OpenAI's retry-after-ms, or in
    the body of an error of Google's (`google.rpc.RetryInfo`: `"retryDelay": "17s"`).
    """
    value = response.headers.get("retry-after")
    milliseconds = response.headers.get("retry-after-ms")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000
        elif value is None:
            delay = re.search(r'"retryDelay":\s*"([\d.]+)s"', response.text)
            if delay is None:
                return None
            seconds = float(delay[1])
        else:
            seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(str(value)).timestamp() - time()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), 3600.0) if np.isfinite(seconds) else None


def _backoff(attempt: int) -> float:
    """Return the seconds before the next attempt: doubled each time, with a part by chance."""
    return float(min(FIRST_DELAY * 2 ** (attempt - 1), MAX_DELAY) * random.uniform(0.75, 1.25))
