"""The verb `index`: documents to a store of passages, in constant memory, as often as documents change.

A document that is there with the same content (by hash) is left alone, so a killed call loses nothing but the passages
that it was encoding, and a second call encodes what changed. Documents that are gone from the input disappear from the
store at the end of a whole pass.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mixling.corpora.languages import first_known_language, language_tag
from mixling.corpora.values import TITLES, with_title
from mixling.disk import disk_message
from mixling.encoding.vectors import model_fingerprint, normalize_for_similarity, reading
from mixling.errors import MixlingError, Skipped
from mixling.machine import keep_freed_memory, library_versions
from mixling.models.precision import choose_precision
from mixling.models.retriever import Retriever
from mixling.progress import Progress
from mixling.searching.bulk import EncodedDocuments
from mixling.searching.documents import Document, open_documents
from mixling.searching.languages import LanguageIdentifier, wanted
from mixling.searching.parquet import import_store, stored_info
from mixling.searching.passages import split_passages
from mixling.searching.store import Store, passage_schema
from mixling.searching.stores import make_store, one_writer_of, remaining_modules

# documents looked up together; passages encoded and written together, and written together where they are encoded already
LOOKED_UP, WRITTEN, LOADED = 256, 512, 16384
SIZE = 200
# facts that follow from what is in a store
STATISTICS = ("passages", "languages", "means")


def index(
    model: str | Retriever,
    source: str | Path,
    store: str,
    *,
    language: str | None = None,
    languages: Sequence[str] | None = None,
    size: int | None = None,
    overlap: int | None = None,
    precision: str = "auto",
    keep_gone: bool = False,
    skip_bad: bool = True,
    vectors: str | Path | None = None,
    on_write: Callable[[int], None] | None = None,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Put documents into a store; what is there and unchanged is not encoded again.

    source: .jsonl, .parquet, a BEIR folder, a folder of text, Markdown, HTML, PDF, or what `unload` wrote (with the same model,
    or with one that has a map behind it: then the stored vectors go through the map). store: a folder, or milvus://host:port/name. language: of
    documents that do not say theirs; else it is identified, among `languages` if given. size, overlap: tokens of a passage
    (None: 200, or what the model takes), and of the sentences that it repeats of the one before (None: a fifth). keep_gone: leave documents that the source no longer has.
    vectors: a folder that `mixling encode` made of the same file; each document is then one passage, as it was encoded.
    trust_remote_code: as of Retriever.
    Returns counts; skipped: what could not be read, by name; left_out: files of the folder that are of no kind that is read, by
    suffix. Raises MixlingError.
    """
    keep_freed_memory()
    source, unloaded, skipped = Path(source), stored_info(Path(source)), Skipped(skip_bad)
    # opened first: what is not there is said before a model is loaded or a store made
    code, among = (
        None if first_known_language(language) is None else language_tag(str(language)),
        wanted(languages),
    )
    opened = open_documents(source, skipped, code) if unloaded is None else None
    retriever = (
        model
        if isinstance(model, Retriever)
        else Retriever(model, trust_remote_code=trust_remote_code)
    )
    most = retriever.max_length - 8
    size = min(SIZE, most) if size is None else size
    overlap = size // 5 if overlap is None else overlap
    if size > most or overlap >= size:
        raise MixlingError(
            f"--size {size}, --overlap {overlap}: a passage has at most {most} tokens with this model, and overlaps by less "
            "than its size"
        )
    encoded = None if vectors is None else EncodedDocuments(vectors, retriever)
    info = _info(retriever, 0 if encoded else size, 0 if encoded else overlap)
    moved = None
    if unloaded is not None:
        rest = remaining_modules(retriever, unloaded)
        if rest is None:
            raise MixlingError(
                f"{source}: was made with {unloaded['model']}, whose weights or prompts {retriever.name} has not"
            )
        if rest:
            moved = partial(_through, retriever, rest)
            info = {**info, **{k: unloaded.get(k) for k in ("size", "overlap", "titles")}}
        else:
            info = {k: v for k, v in unloaded.items() if k not in STATISTICS}
    with one_writer_of(store), _full_disk_said(store):
        made = make_store(store, retriever.dimensions, info)
        _same(made, info)
        if opened is None:
            counts = import_store(source, made, moved)
        else:
            identifier = LanguageIdentifier(among)
            precision = choose_precision(retriever.device, precision)
            writer = _Writer(
                made, retriever, precision, identifier, size, overlap, encoded, on_write
            )
            counts = _pass(source, opened, writer, keep_gone, skipped)
        made.finish()
        made.write_info({**made.info, **_statistics(made)})
    return {**counts, "passages": made.info["passages"], "languages": made.info["languages"]}


def _pass(
    source: Path,
    opened: tuple[int, Iterator[Document]],
    writer: _Writer,
    keep_gone: bool,
    skipped: Skipped,
) -> dict[str, Any]:
    """Write what is new or changed, delete what is gone; counts."""
    total, rows = opened
    seen = array("Q")
    some: list[Document] = []
    done = 0
    with Progress("indexing") as bar:
        for one in rows:
            some.append(one)
            if len(some) == LOOKED_UP:
                seen.extend(_key(d.id) for d in some)
                writer.take(some)
                done, some = done + len(some), []
                bar(done, total, f"{writer.encoded:,} passages encoded")
        seen.extend(_key(d.id) for d in some)
        writer.take(some)
        writer.write()
    keys = np.unique(np.frombuffer(seen, np.uint64))
    if len(keys) < len(seen):
        raise MixlingError(
            f"{source}: {len(seen) - len(keys)} documents share an id with another; give each its own"
        )
    if not len(seen) and not keep_gone and writer.store.count():
        raise MixlingError(
            f"{source}: no document could be read ({len(skipped.rows)} skipped), and the store would lose all of its own. Mend the "
            "source, or remove the store"
        )
    return {
        "documents": len(seen),
        "unchanged": writer.unchanged,
        "written": len(seen) - writer.unchanged,
        "passages_encoded": writer.encoded,
        "passages_titled": writer.titled,
        "gone": 0 if keep_gone else _remove(writer.store, keys),
        "skipped": [str(x) for x in skipped.rows],
        "left_out": dict(sorted(skipped.left_out.items())),
    }


@contextmanager
def _full_disk_said(store: str) -> Iterator[None]:
    """Turn what a store says of a full or read-only disk into a message."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        message = disk_message(error)
        if message is None:
            raise
        raise MixlingError(f"{store}: {message}") from None


def _through(
    retriever: Retriever, rest: Sequence[torch.nn.Module], vectors: np.ndarray, languages: list[str]
) -> np.ndarray:
    """Stored passages' vectors, float32 [n, d], through what stands behind the model that made them."""
    return normalize_for_similarity(
        retriever, retriever.encode_tail(vectors, None, "passage", languages, rest)
    )


def _key(document: str) -> int:
    """64 bits of an id: 8 bytes a document is what a pass over very many must remember."""
    return int.from_bytes(hashlib.blake2b(document.encode(), digest_size=8).digest(), "little")


def _info(retriever: Retriever, size: int, overlap: int) -> dict[str, Any]:
    name = Path(retriever.name)
    return {
        "model": str(name.resolve()) if name.is_dir() else retriever.name,
        "encoder": model_fingerprint(retriever),
        "reading": reading(retriever),
        "prompts": {r: retriever.prompt(r) for r in ("query", "passage")},
        "dimensions": retriever.dimensions,
        "size": size,
        "overlap": overlap,
        "titles": TITLES,
        "versions": library_versions(),
    }


def _same(store: Store, mine: dict[str, Any]) -> None:
    """Raises MixlingError where a store was made otherwise."""
    for key in ("encoder", "reading", "prompts", "size", "overlap", "titles"):
        if key == "reading" and key not in store.info:  # of an earlier version
            continue
        if store.info.get(key) != mine.get(key):
            was, now = (str(x.get(key))[:60] for x in (store.info, mine))
            what = "way of reading titles" if key == "titles" else key
            raise MixlingError(
                f"the store was made with another {what} ({was}, not {now}), by {store.info.get('model')}; index into another "
                "--store, or with what it was made with"
            )


class _Writer:
    """Gathers passages of new and changed documents and writes them, whole documents together."""

    def __init__(
        self,
        store: Store,
        retriever: Retriever,
        precision: str,
        identifier: LanguageIdentifier,
        size: int,
        overlap: int,
        encoded: EncodedDocuments | None,
        on_write: Callable[[int], None] | None,
    ):
        self.store, self.retriever, self.precision, self.identifier = (
            store,
            retriever,
            precision,
            identifier,
        )
        self.size, self.overlap, self.made, self.on_write = size, overlap, encoded, on_write
        self.rows: list[dict[str, Any]] = []
        self.waiting: list[str] = []
        self.unchanged = self.encoded = self.writes = self.titled = 0

    def take(self, some: Sequence[Document]) -> None:
        """New and changed ones of some documents are cut and wait; full blocks are written."""
        if not some:
            return
        ids = [d.id for d in some]
        twice = {x for x in ids if ids.count(x) > 1} if len(set(ids)) < len(ids) else set()
        if twice:
            raise MixlingError(f"two documents have the id '{min(twice)}'; give each its own")
        there = self.store.digests(ids)
        for one in some:
            digest = one.digest()
            if there.get(one.id) == digest:
                self.unchanged += 1
                continue
            self.rows += self._cut(one, digest)
            self.waiting.append(one.id)
            if len(self.rows) >= (WRITTEN if self.made is None else LOADED):
                self.write()

    def _cut(self, one: Document, digest: str) -> list[dict[str, Any]]:
        language, confidence = (one.language, None) if one.language else self.identifier(one.text)
        found = [(0, len(one.text))]
        if self.made is None:
            count = partial(_tokens, self.retriever)
            # a passage and its title go through the model together
            size = min(
                self.size,
                max(self.retriever.max_length - 8 - (sum(count([one.said])) if one.said else 0), 8),
            )
            found = (
                split_passages(one.text, language, count, size, min(self.overlap, size - 1))
                or found
            )
        return [
            {
                "id": f"{one.id}#{part}", "document": one.id, "digest": digest, "title": one.title,
                "address": one.address, "language": language, "group": one.group, "text": one.text[begin:end],
                "metadata": json.dumps(one.metadata, ensure_ascii=False, default=str), "part": part, "begin": begin,
                "end": end, "confidence": confidence, "said": one.said,
            }
            for part, (begin, end) in enumerate(found)
        ]  # fmt: skip

    def write(self) -> None:
        """Encode what waits and put it into the store: one commit."""
        if not self.waiting:
            return
        v = normalize_for_similarity(self.retriever, self._vectors())
        form = passage_schema(v.shape[1])
        columns = [
            pa.FixedSizeListArray.from_arrays(pa.array(v.ravel(), pa.float32()), v.shape[1])
            if field.name == "vector"
            else pa.array([r[field.name] for r in self.rows], field.type)
            for field in form
        ]
        self.store.replace(self.waiting, pa.table(columns, schema=form))
        self.encoded += len(self.rows)
        self.titled += sum(bool(r["said"]) for r in self.rows)
        self.writes += 1
        self.rows, self.waiting = [], []
        if self.on_write is not None:
            self.on_write(self.writes)

    def _vectors(self) -> np.ndarray:
        """Of the passages that wait: float32 [rows, d], read or made."""
        languages = [r["language"] for r in self.rows]
        if self.made is not None:
            found = self.made.find(self.waiting)
            return self.retriever.encode_tail(found, None, "passage", languages, self.made.rest)
        texts = [with_title(r["said"], r["text"]) for r in self.rows]
        return self.retriever.encode(
            texts, "passage", languages=languages, precision=self.precision
        )


def _tokens(retriever: Retriever, texts: Sequence[str]) -> list[int]:
    """Tokens of each text, without those that stand round it."""
    if not texts:
        return []
    found = retriever.tokenizer(
        list(texts),
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return [len(x) for x in found["input_ids"]]


def _remove(store: Store, seen: np.ndarray) -> int:
    """Delete the documents that were not seen. seen: their keys, sorted."""
    gone: list[str] = []
    for part in store.documents():
        keys = np.array([_key(d) for d in part], np.uint64)
        places = np.minimum(np.searchsorted(seen, keys), max(len(seen) - 1, 0))
        there = seen[places] == keys if len(seen) else np.zeros(len(keys), bool)
        gone += [d for d, kept in zip(part, there, strict=True) if not kept]
    for begin in range(0, len(gone), LOOKED_UP):
        store.delete(gone[begin : begin + LOOKED_UP])
    return len(gone)


def _statistics(store: Store) -> dict[str, Any]:
    """Passages of each language and the mean of their vectors, which fairness at query time reads."""
    total: dict[str, np.ndarray] = {}
    count: dict[str, int] = {}
    for languages, vectors in store.vectors():
        names = np.array(languages)
        for code in np.unique(names):
            mine = vectors[names == code]
            total[code] = total.get(code, 0) + mine.sum(0, dtype=np.float64)
            count[code] = count.get(code, 0) + len(mine)
    means = {x: (total[x] / count[x]).astype(np.float32).tolist() for x in sorted(count)}
    return {
        "passages": sum(count.values()),
        "languages": dict(sorted(count.items())),
        "means": means,
    }
