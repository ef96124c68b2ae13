"""Encodes the texts of requests that come at the same time together, a batch at a time.

A batch is so small that a search waits for at most one batch of others' texts, however many they
have sent. Requests take turns within their lane, and the two lanes (searches; embeddings and
sentences) take turns with each other. The texts of a request whose client has gone are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mixling.errors import MixlingError
from mixling.models.encoders import AnyEncoder
from mixling.models.forward import token_budgets
from mixling.models.precision import Precision

SEARCH, BULK = 0, 1  # the lanes
CALLS_PER_BATCH = 2  # calls of the encoder that a batch fills


class OverloadedError(Exception):
    """More texts wait than a lane takes."""


class EncoderError(Exception):
    """The model cannot encode a text, or its vector is not finite; the message names the text."""


@dataclass
class _Job:
    """The texts of a request.

    Attributes:
        texts: The texts.
        role: Their role.
        languages: Their languages, for a transform by language; None where they are not known.
        answer: Receives their vectors.
        taken: How many of the texts are in a batch or encoded.
        rows: The vectors of the texts that are encoded.
    """

    texts: list[str]
    role: str | None
    languages: list[str] | None
    answer: asyncio.Future[np.ndarray]
    taken: int = 0
    rows: list[np.ndarray] = field(default_factory=list)


# A job and its texts [begin, end) that are in a batch.
_Slice = tuple[_Job, int, int]


class Batcher:
    """An encoder that all requests share.

    Args:
        retriever: The model.
        batch_size: Texts of a batch.
        max_waiting: Texts of searches that may wait.
        precision: "fp32" or "bf16".
        max_waiting_bulk: Texts of other requests that may wait.

    Attributes:
        batches: Batches encoded.
        texts: Texts encoded.
    """

    def __init__(
        self,
        retriever: AnyEncoder,
        batch_size: int = 64,
        max_waiting: int = 256,
        precision: Precision = "fp32",
        max_waiting_bulk: int = 16_384,
    ):
        self.retriever, self.precision = retriever, precision
        self.batches = self.texts = 0
        self._batch_size = batch_size
        self._max_waiting = (max_waiting, max_waiting_bulk)
        self._waiting = [0, 0]
        self._lanes: tuple[deque[_Job], deque[_Job]] = (deque(), deque())
        self._next_lane = SEARCH
        self._max_tokens = CALLS_PER_BATCH * token_budgets(retriever.device).encode
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "encode")
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Texts that wait or are being encoded."""
        return sum(self._waiting)

    def start(self) -> None:
        """Begin to encode; called inside the event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Encode what waits, then end."""
        while self.pending and self._task is not None and not self._task.done():
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown()

    async def __call__(
        self,
        texts: Sequence[str],
        role: str | None,
        lane: int = SEARCH,
        languages: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Encode texts.

        A caller that is cancelled frees its place at once; of its texts, at most the batch in
        progress is still encoded.

        Args:
            texts: The texts.
            role: "query", "passage", or None for no prompt.
            lane: `SEARCH` or `BULK`.
            languages: Languages of the texts. Default: the model identifies them if it needs them.

        Returns:
            float32 `[n_texts, dim]`.

        Raises:
            OverloadedError: The lane has no room for so many texts.
            EncoderError: The model failed at one of the texts.
        """
        if self._waiting[lane] + len(texts) > self._max_waiting[lane]:
            raise OverloadedError
        known = None if languages is None else list(languages)
        job = _Job(list(texts), role, known, asyncio.get_running_loop().create_future())
        self._waiting[lane] += len(texts)
        try:
            self._lanes[lane].append(job)
            self._wake.set()
            return await job.answer
        finally:
            self._waiting[lane] -= len(texts)

    async def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if batch:
                await self._encode(batch)
            else:
                self._wake.clear()
                await self._wake.wait()

    def _next_batch(self) -> list[_Slice]:
        """Return the next batch, of the lane whose turn it is or else of the other one."""
        for lane in (self._next_lane, 1 - self._next_lane):
            batch = self._take_batch(self._lanes[lane])
            if batch:
                self._next_lane = 1 - lane
                return batch
        return []

    def _take_batch(self, lane: deque[_Job]) -> list[_Slice]:
        """Take texts of one role, whose languages are all known or all unknown, from the front.

        A request whose texts do not all fit goes to the end of the lane.
        """
        batch: list[_Slice] = []
        n_texts = n_tokens = 0
        while lane:
            job = lane[0]
            if job.answer.done():  # the client has gone, or another of its texts has failed
                lane.popleft()
                continue
            if batch and (
                job.role != batch[0][0].role
                or (job.languages is None) != (batch[0][0].languages is None)
            ):
                break
            begin = end = job.taken
            while end < len(job.texts):
                tokens = self._estimate_tokens(job.texts[end])
                is_full = n_texts == self._batch_size or n_tokens + tokens > self._max_tokens
                if n_texts and is_full:
                    break
                n_texts, n_tokens, end = n_texts + 1, n_tokens + tokens, end + 1
            if end > begin:
                batch.append((job, begin, end))
                job.taken = end
            if end < len(job.texts):  # the batch is full
                if end > begin:
                    lane.rotate(-1)
                break
            lane.popleft()
        return batch

    def _estimate_tokens(self, text: str) -> int:
        """Estimate the cost of a text, in tokens that are encoded.

        Half of its characters is rather more than its tokens in most languages. The model cuts it
        at its limit; what is cut off costs little, because it is only tokenized.
        """
        return min(len(text) // 2 + 8, self.retriever.max_length) + len(text) // 500

    async def _encode(self, batch: list[_Slice]) -> None:
        """Encode a batch and answer the requests that are complete.

        Where the batch fails, its requests are encoded one by one, so that only the request at
        fault fails.
        """
        texts = [text for job, begin, end in batch for text in job.texts[begin:end]]
        role, languages = batch[0][0].role, None
        if batch[0][0].languages is not None:
            languages = [x for job, begin, end in batch for x in (job.languages or [])[begin:end]]
        loop = asyncio.get_running_loop()
        try:
            vectors = await loop.run_in_executor(
                self._thread, self._vectors, texts, role, languages
            )
        except Exception as error:
            if len(batch) > 1:
                for job_slice in batch:
                    await self._encode([job_slice])
            elif not batch[0][0].answer.done():
                batch[0][0].answer.set_exception(self._public_error(error))
            return
        self.batches += 1
        self.texts += len(texts)
        offset = 0
        for job, begin, end in batch:
            rows = vectors[offset : offset + end - begin]
            offset += end - begin
            if job.answer.done():
                continue
            job.rows.append(rows)
            if end == len(job.texts):
                job.answer.set_result(np.concatenate(job.rows))

    def _public_error(self, error: Exception) -> Exception:
        """Return the error that a client sees; it does not name the model's folder."""
        if not isinstance(error, MixlingError):
            return error
        name = self.retriever.name
        return EncoderError(str(error).replace(name, Path(name).name))

    def _vectors(
        self, texts: list[str], role: str | None, languages: list[str] | None
    ) -> np.ndarray:
        return self.retriever.encode(texts, role, languages=languages, precision=self.precision)
