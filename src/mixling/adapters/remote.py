"""Calls a server of `mixling serve` as if its store and its model were here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mixling.errors import MixlingError
from mixling.searching.fairness import Order
from mixling.searching.hits import SearchHit
from mixling.searching.options import Mode

BATCH_SIZE = 32  # texts of a request


class Remote:
    """A running server, with the calls of a `Searcher` and a `Retriever`.

    Example:
        ```python
        remote = Remote("http://127.0.0.1:8080")
        print(remote.search("Who built the bridge?", k=3)[0].text)
        ```

    Args:
        address: The server, for instance http://127.0.0.1:8080.
        key: API key, where the server needs one.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, address: str, key: str | None = None, timeout: float = 30.0):
        try:
            import httpx
        except ImportError:
            raise MixlingError(
                "httpx is not installed. Install it with: pip install httpx"
            ) from None
        self.address = address.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=self.address, headers=headers, timeout=timeout)
        self._connection_error = httpx.HTTPError

    def search(
        self,
        query: str | Sequence[str],
        k: int = 10,
        *,
        languages: Sequence[str] | None = None,
        mode: Mode = "dense",
        order: Order = "query-language-first",
        query_language: str | None = None,
        quotas: Mapping[str, int] | None = None,
        highlight: bool = False,
    ) -> list[SearchHit]:
        """Find the best k passages for a query, or for a query and its translations.

        Args:
            query: The query, or the query and its translations.
            k: How many passages.
            languages: Search passages in these languages only.
            mode: "dense", "text" or "both".
            order: "query-language-first", "centered", "round-robin" or "score".
            query_language: Language of the query; identified if not given.
            quotas: At most this many passages of each of these languages.
            highlight: Name the sentence of each passage that is nearest to the query.

        Returns:
            The passages, best first.

        Raises:
            MixlingError: The server does not answer, or refuses the request; the message is the
                server's.
        """
        body: dict[str, Any] = {
            "query": query if isinstance(query, str) else list(query),
            "k": k,
            "languages": None if languages is None else list(languages),
            "mode": mode,
            "order": order,
            "query_language": query_language,
            "quotas": None if quotas is None else dict(quotas),
            "highlight": highlight,
        }
        answer = self._post("/v1/search", body)
        return [SearchHit.from_dict(row) for row in answer["results"]]

    def encode(self, texts: Sequence[str], role: str | None = None) -> np.ndarray:
        """Encode texts.

        Args:
            texts: The texts.
            role: "query", "passage", or None for no prompt.

        Returns:
            float32 `[n_texts, dim]`.

        Raises:
            MixlingError: The server does not answer, or refuses a text; the message names it.
        """
        rows: list[list[float]] = []
        for begin in range(0, len(texts), BATCH_SIZE):
            batch = list(texts[begin : begin + BATCH_SIZE])
            body = {"input": batch, "model": "mixling", "input_type": role}
            try:
                items = self._post("/v1/embeddings", body)["data"]
            except MixlingError as error:
                place = f" Here input[0] is text {begin} of {len(texts)}." if begin else ""
                raise MixlingError(f"{error}{place}") from None
            rows += [item["embedding"] for item in sorted(items, key=lambda x: x["index"])]
        return np.array(rows, np.float32)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            answer = self._client.post(path, json=body)
        except self._connection_error as error:
            raise MixlingError(
                f"{self.address}: the server does not answer ({error}). Start it with `mixling "
                "serve STORE`, or check the address."
            ) from None
        if answer.status_code != 200:
            message = ""
            if "json" in answer.headers.get("content-type", ""):
                message = answer.json().get("error", {}).get("message", "")
            status = f"the server answered with status {answer.status_code}."
            raise MixlingError(f"{self.address}{path}: {status} {message}".rstrip())
        return answer.json()
