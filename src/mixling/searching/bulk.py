"""Vectors that `mixling encode` has made, read beside the documents that they are of: nothing is encoded again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mixling.corpora.json_files import parse_record
from mixling.encoding.shards import list_shards, table_matrix
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.searching.stores import remaining_modules


class EncodedDocuments:
    """The vectors of a finished folder in its order, found by id in one pass. rest: the modules that they have still to go
    through, where the model is the one that made them and a map behind it.

    Raises MixlingError when the folder is not finished or another encoder made it.
    """

    def __init__(self, folder: str | Path, retriever: Retriever):
        self.folder = Path(folder)
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            raise MixlingError(
                f"{folder}: holds no finished vectors (no manifest.json); make them with `mixling encode MODEL DOCUMENTS --out {folder}`"
            )
        job = parse_record(
            manifest.read_bytes(), manifest, {"encoder": str, "prompt": str, "model": str}
        )
        rest = remaining_modules(
            retriever, {"encoder": job["encoder"], "prompts": {"passage": job["prompt"]}}
        )
        if rest is None or job.get("role") != "passage":
            raise MixlingError(
                f"{folder}: was made with {job['model']} for the role '{job.get('role')}', not with {retriever.name} for passages; "
                "encode the documents with the model that searches"
            )
        self.rest = rest
        self._rows = self._all()

    def _all(self) -> Iterator[tuple[str, np.ndarray]]:
        for table in list_shards(self.folder):
            vectors = (
                np.concatenate(table_matrix(table))
                if table.num_rows
                else np.zeros((0, 0), np.float32)
            )
            yield from zip(table["id"].to_pylist(), vectors, strict=True)

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """The vectors of ids: float32 [ids, d]. They come in the folder's order, in this call and from call to call."""
        found = []
        for wanted in ids:
            for name, vector in self._rows:
                if name == wanted:
                    found.append(vector)
                    break
            else:
                raise MixlingError(
                    f"{self.folder}: has no vector of '{wanted}', or not in the documents' order; encode the same file, in which "
                    "each row has an `_id`"
                )
        return np.stack(found)
