"""Jobs that write a folder of data: their unfinished work, and their reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from mixling.corpora.files import open_run_dir
from mixling.disk import one_writer


@dataclass(frozen=True)
class JobReport:
    """The counts of a job.

    Args:
        job: What the job depended on: its options, and hashes of the model and the corpus.
    """

    job: Mapping[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the job and the counts, as the report's file holds them."""
        counts = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "job"}
        return {**self.job, **counts}

    def to_json(self) -> str:
        """Return the text of the report's file."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the report that a file holds.

        Args:
            content: The result of `to_dict`.
        """
        names = {f.name for f in fields(cls)}
        counts = {name: value for name, value in content.items() if name in names}
        job = {name: value for name, value in content.items() if name not in names}
        return cls(job=job, **counts)


@contextmanager
def unfinished_folder(out: Path, job: dict[str, Any]) -> Iterator[Path]:
    """Hold the folder `OUT.part` of a job's unfinished work; remove it when the block has ended.

    If the block fails, the folder stays, and the same job goes on in it.

    Args:
        out: The folder that the job writes.
        job: What the job depends on, as JSON.

    Yields:
        The folder of unfinished work.

    Raises:
        MixlingError: The folder belongs to another job, or another process writes there.
    """
    part = out.with_name(out.name + ".part")
    with one_writer(part):
        open_run_dir(part, job)
        yield part
        shutil.rmtree(part)
