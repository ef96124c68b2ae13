"""Reads the vectors that `mixling encode` made, in the order of their documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mixling.corpora.json_files import parse_record
from mixling.corpora.values import TITLES
from mixling.encoding.read_vectors import list_shards, table_matrix
from mixling.errors import MixlingError
from mixling.models.encoders import AnyEncoder
from mixling.searching.stores import remaining_modules


class EncodedDocuments:
    """The vectors of a finished folder of `mixling encode`, found by id in one pass.

    Args:
        folder: The folder.
        retriever: The model that searches: the one that made the vectors, or that one followed by a
            transform.

    Attributes:
        remaining: The modules through which the vectors have still to pass; see
            `remaining_modules`.

    Raises:
        MixlingError: The folder is not finished, or another model made it.
    """

    def __init__(self, folder: str | Path, retriever: AnyEncoder):
        self.folder = Path(folder)
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            raise MixlingError(
                f"{folder}: encoding was not finished, because manifest.json is missing. Make "
                f"the vectors with `mixling encode MODEL DOCUMENTS --out {folder}`."
            )
        job = parse_record(
            manifest.read_bytes(), manifest, {"encoder": str, "prompt": str, "model": str}
        )
        remaining = remaining_modules(
            retriever, {"encoder": job["encoder"], "prompts": {"passage": job["prompt"]}}
        )
        if remaining is None or job.get("role") != "passage":
            raise MixlingError(
                f"{folder}: the vectors were made with {job['model']} for the role "
                f"'{job.get('role')}'. Expected {retriever.name} and the role 'passage'. Encode "
                "the documents with the model that searches."
            )
        titles = job.get("titles") or {}
        form = titles.get("form", TITLES) if isinstance(titles, dict) else TITLES
        if form != retriever.settings.titles.value:
            raise MixlingError(
                f"{folder}: the vectors were made with titles as '{form}', but the model reads "
                f"titles as '{retriever.settings.titles.value}' here. Encode the documents "
                "again, or give the same --titles."
            )
        self.remaining = remaining
        self._rows = self._read_rows()

    def _read_rows(self) -> Iterator[tuple[str, np.ndarray]]:
        for table in list_shards(self.folder):
            if table.num_rows:
                vectors = np.concatenate(table_matrix(table))
                yield from zip(table["id"].to_pylist(), vectors, strict=True)

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """Return the vectors of documents, float32 `[n, dim]`.

        Args:
            ids: Ids in the order of the folder, both within a call and from call to call.

        Raises:
            MixlingError: The folder lacks an id, or has the ids in another order.
        """
        vectors = []
        for document in ids:
            for name, vector in self._rows:
                if name == document:
                    vectors.append(vector)
                    break
            else:
                raise MixlingError(
                    f"{self.folder}: the vector of '{document}' is missing, or not in the order "
                    "of the documents. Encode the same file, in which each row has an `_id`."
                )
        return np.stack(vectors)
