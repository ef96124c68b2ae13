"""A server of `mixling serve` as if its store were here: the same calls as a Searcher and a Retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixling.errors import MixlingError

AT_ONCE = 32  # texts of a request


class Remote:
    """A running server.

    address: for instance http://127.0.0.1:8080; key: where it wants one; seconds: longest wait for an answer.
    """

    def __init__(self, address: str, key: str | None = None, seconds: float = 30.0):
        try:
            import httpx
        except ImportError:
            raise MixlingError("httpx is not installed: pip install httpx") from None
        self.address = address.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=self.address, headers=headers, timeout=seconds)
        self._failed = httpx.HTTPError

    def search(self, query: str | Sequence[str], k: int = 10, **more: Any) -> list[dict[str, Any]]:
        """The best k passages for a query, or for it and its translations; more: as `POST /v1/search` takes. Raises
        MixlingError with what the server says."""
        queries = query if isinstance(query, str) else list(query)
        return self._post("/v1/search", {"query": queries, "k": k, **more})["results"]

    def encode(self, texts: Sequence[str], role: str | None = None) -> np.ndarray:
        """Vectors of texts in a role ("query", "passage"; None: no prompt): float32 [n, d]."""
        rows: list[list[float]] = []
        for begin in range(0, len(texts), AT_ONCE):
            some = list(texts[begin : begin + AT_ONCE])
            body = {"input": some, "model": "mixling", "input_type": role}
            try:
                found = self._post("/v1/embeddings", body)["data"]
            except MixlingError as error:
                place = f" (input[0] is text {begin} of {len(texts)})" if begin else ""
                raise MixlingError(f"{error}{place}") from None
            rows += [x["embedding"] for x in sorted(found, key=lambda x: x["index"])]
        return np.array(rows, np.float32)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            answer = self._client.post(path, json=body)
        except self._failed as error:
            raise MixlingError(
                f"{self.address}: no answer ({error}); is `mixling serve` running?"
            ) from None
        if answer.status_code != 200:
            said = (
                answer.json().get("error", {}).get("message", "")
                if "json" in answer.headers.get("content-type", "")
                else ""
            )
            raise MixlingError(f"{self.address}{path}: {answer.status_code} {said}")
        return answer.json()
