"""Texts of requests that come at the same time are encoded together: what waits while a batch runs is the next batch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from mixling.models.retriever import Retriever


class Overloaded(Exception):
    """More texts wait than the queue holds."""


@dataclass
class _Asked:
    texts: list[str]
    role: str | None
    answer: asyncio.Future[np.ndarray]


class Batcher:
    """One encoder for all requests. most: texts of a batch; waiting: texts that may wait."""

    def __init__(self, retriever: Retriever, most: int = 64, waiting: int = 256, precision: str = "fp32"):
        self.retriever, self.most, self.waiting, self.precision = retriever, most, waiting, precision
        self.queue: asyncio.Queue[_Asked] = asyncio.Queue()
        self.pending = 0
        self.thread = ThreadPoolExecutor(1, "encode")
        self.batches = self.texts = 0
        self.task: asyncio.Task[None] | None = None

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

    async def __call__(self, texts: Sequence[str], role: str | None) -> np.ndarray:
        """Vectors of texts, float32 [n, d]. Raises Overloaded."""
        if self.pending + len(texts) > self.waiting:
            raise Overloaded
        asked = _Asked(list(texts), role, asyncio.get_running_loop().create_future())
        self.pending += len(texts)
        try:
            await self.queue.put(asked)
            return await asked.answer
        finally:
            self.pending -= len(texts)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            some = [await self.queue.get()]
            while not self.queue.empty() and sum(len(a.texts) for a in some) < self.most:
                some.append(self.queue.get_nowait())
            for role in dict.fromkeys(a.role for a in some):
                mine = [a for a in some if a.role == role and not a.answer.done()]
                texts = [t for a in mine for t in a.texts]
                if not texts:
                    continue
                try:
                    made = await loop.run_in_executor(self.thread, self._encode, texts, role)
                except Exception as error:  # each request learns of it, and the next batch goes on
                    for one in mine:
                        if not one.answer.done():
                            one.answer.set_exception(error)
                    continue
                self.batches += 1
                self.texts += len(texts)
                at = 0
                for one in mine:
                    if not one.answer.done():
                        one.answer.set_result(made[at : at + len(one.texts)])
                    at += len(one.texts)

    def _encode(self, texts: list[str], role: str | None) -> np.ndarray:
        return self.retriever.encode(texts, role, precision=self.precision)
