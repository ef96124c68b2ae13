"""Holds the limits and options of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixling.models.precision import Precision


@dataclass(frozen=True)
class ServerConfig:
    """The limits and options of the server.

    Requests for embeddings are large, so they have limits of their own; ten minutes is how long
    OpenAI's client waits.

    Attributes:
        keys: SHA-256 of each API key by name; empty: anybody may send requests.
        rate: Requests a second of each key, or of each address where there are no keys; 0: no
            limit.
        burst: Requests that a key may send at once before `rate` holds.
        max_body_bytes: Bytes of a request.
        timeout: Seconds in which a request is answered.
        max_waiting: Texts of searches that may wait for the encoder.
        batch_size: Texts that are encoded together.
        precision: "fp32" or "bf16".
        log_queries: Write queries into the log.
        embeddings_max_body_bytes: Bytes of a request for embeddings.
        embeddings_timeout: Seconds in which a request for embeddings is answered.
        embeddings_max_waiting: Texts of requests for embeddings that may wait for the encoder.
    """

    keys: dict[str, bytes] = field(default_factory=dict)
    rate: float = 0.0
    burst: int = 20
    max_body_bytes: int = 1 << 20
    timeout: float = 30.0
    max_waiting: int = 256
    batch_size: int = 64
    precision: Precision = "fp32"
    log_queries: bool = False
    embeddings_max_body_bytes: int = 4 << 20
    embeddings_timeout: float = 600.0
    embeddings_max_waiting: int = 16_384
