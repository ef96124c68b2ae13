"""Texts of requests that come at the same time are encoded together, a part at a time.

A part is so small that a search waits for no more than one part of others' texts, whatever they have sent. Requests take turns
within their lane, the two lanes (searches; embeddings and sentences) take turns with each other, and what a request whose
client has gone still wanted is dropped.
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
from mixling.models.forward import token_budgets
from mixling.models.retriever import Retriever

SEARCH, BULK = 0, 1  # the lanes
CALLS = 2  # calls of the encoder that a part fills


class Overloaded(Exception):
    """More texts wait than the queue holds."""


class EncoderFailed(Exception):
    """The model cannot encode a text, or gives a vector that is not finite; the message says which text."""


@dataclass
class _Job:
    texts: list[str]
    role: str | None
    answer: asyncio.Future[np.ndarray]
    begun: int = 0  # texts that are in a part or encoded
    rows: list[np.ndarray] = field(default_factory=list)


_Slice = tuple[_Job, int, int]


class Batcher:
    """One encoder for all requests.

    Args:
        retriever: The model.
        most: Texts of a part.
        waiting: Texts of searches that may wait.
        precision: "fp32" or "bf16".
        bulk: Texts of other requests that may wait.
    """

    def __init__(
        self,
        retriever: Retriever,
        most: int = 64,
        waiting: int = 256,
        precision: str = "fp32",
        bulk: int = 16_384,
    ):
        self.retriever, self.most, self.precision = retriever, most, precision
        self.room = (waiting, bulk)
        self.waiting = [0, 0]
        self.lanes: tuple[deque[_Job], deque[_Job]] = (deque(), deque())
        self.next_lane = SEARCH
        self.budget = CALLS * token_budgets(retriever.device).encode
        self.wake = asyncio.Event()
        self.thread = ThreadPoolExecutor(1, "encode")
        self.batches = self.texts = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Texts that wait or are being encoded."""
        return sum(self.waiting)

    def start(self) -> None:
        """Begin to take requests; called inside the event loop."""
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Answer what waits, then end."""
        while self.pending and self.task is not None and not self.task.done():
            await asyncio.sleep(0.01)
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        self.thread.shutdown()

    async def __call__(
        self, texts: Sequence[str], role: str | None, lane: int = SEARCH
    ) -> np.ndarray:
        """Encode texts: float32 [n, dimensions].

        A caller that is cancelled gives its place free at once; of its texts, at most the part in progress is still encoded.

        Raises:
            Overloaded: The lane has no room for so many texts.
            EncoderFailed: The model failed at one of the texts.
        """
        if self.waiting[lane] + len(texts) > self.room[lane]:
            raise Overloaded
        job = _Job(list(texts), role, asyncio.get_running_loop().create_future())
        self.waiting[lane] += len(texts)
        try:
            self.lanes[lane].append(job)
            self.wake.set()
            return await job.answer
        finally:
            self.waiting[lane] -= len(texts)

    async def _run(self) -> None:
        while True:
            part = self._next_part()
            if part:
                await self._encode(part)
            else:
                self.wake.clear()
                await self.wake.wait()

    def _next_part(self) -> list[_Slice]:
        """The next part, of the lane whose turn it is, or of the other one."""
        for lane in (self.next_lane, 1 - self.next_lane):
            part = self._fill(self.lanes[lane])
            if part:
                self.next_lane = 1 - lane
                return part
        return []

    def _fill(self, lane: deque[_Job]) -> list[_Slice]:
        """Take texts of one role from the front of a lane; a request that is cut goes to the lane's end."""
        part: list[_Slice] = []
        texts = tokens = 0
        while lane:
            job = lane[0]
            if job.answer.done():  # the client has gone, or another of its texts has failed
                lane.popleft()
                continue
            if part and job.role != part[0][0].role:
                break
            begin = stop = job.begun
            while stop < len(job.texts):
                size = self._size(job.texts[stop])
                if texts and (texts == self.most or tokens + size > self.budget):
                    break
                texts, tokens, stop = texts + 1, tokens + size, stop + 1
            if stop > begin:
                part.append((job, begin, stop))
                job.begun = stop
            if stop < len(job.texts):  # the part is full
                if stop > begin:
                    lane.rotate(-1)
                break
            lane.popleft()
        return part

    def _size(self, text: str) -> int:
        """About what a text costs, in tokens encoded: rather more than it has in most languages, up to the model's limit. What
        the limit cuts off costs little, as it is tokenized only."""
        return min(len(text) // 2 + 8, self.retriever.max_length) + len(text) // 500

    async def _encode(self, part: list[_Slice]) -> None:
        """Encode a part and answer the requests that are complete; a failure is that of the request it comes from."""
        texts = [t for job, begin, stop in part for t in job.texts[begin:stop]]
        loop = asyncio.get_running_loop()
        try:
            made = await loop.run_in_executor(self.thread, self._vectors, texts, part[0][0].role)
        except Exception as error:
            if len(part) > 1:
                for one in part:
                    await self._encode([one])
            elif not part[0][0].answer.done():
                part[0][0].answer.set_exception(self._failed(error))
            return
        self.batches += 1
        self.texts += len(texts)
        at = 0
        for job, begin, stop in part:
            rows, at = made[at : at + stop - begin], at + stop - begin
            if job.answer.done():
                continue
            job.rows.append(rows)
            if stop == len(job.texts):
                job.answer.set_result(np.concatenate(job.rows))

    def _failed(self, error: Exception) -> Exception:
        """What a request is told; where the model lies is not for strangers."""
        if not isinstance(error, MixlingError):
            return error
        name = self.retriever.name
        return EncoderFailed(str(error).replace(name, Path(name).name))

    def _vectors(self, texts: list[str], role: str | None) -> np.ndarray:
        return self.retriever.encode(texts, role, precision=self.precision)
