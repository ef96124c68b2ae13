"""Puts documents into a store of passages, in constant memory, as often as the documents change.

A document that the store holds with the same content (by hash) is left alone. A killed call
therefore loses only the passages that it was encoding, and a second call encodes only what changed.
Documents that are gone from the source disappear from the store at the end of a complete pass.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora.languages import first_known_language, language_tag
from mixling.disk import disk_message
from mixling.encoding.vectors import normalize_for_similarity
from mixling.errors import MixlingError, Skipped
from mixling.machine import keep_freed_memory, library_versions
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.fingerprints import config_fingerprint, model_fingerprint
from mixling.models.kernel_caches import limit_kernel_caches
from mixling.models.loading import log_settings
from mixling.models.precision import Precision, choose_precision
from mixling.models.query_encoder import remember_model
from mixling.models.transforms_behind import transform_languages
from mixling.progress import Progress
from mixling.searching.cost import check_index_cost
from mixling.searching.documents import Document, open_documents
from mixling.searching.drift import language_variance
from mixling.searching.encoded import EncodedDocuments
from mixling.searching.languages import LanguageIdentifier, check_languages
from mixling.searching.parquet import exported_rows, stored_info
from mixling.searching.reports import IndexReport
from mixling.searching.store import Store
from mixling.searching.stores import (
    is_store,
    lock_store,
    open_or_create_store,
    open_searchable_store,
    remaining_modules,
)
from mixling.searching.transfer import VectorTransform, import_rows, stored_rows
from mixling.searching.writer import RESERVED_TOKENS, PassageWriter, document_key

DOCUMENT_BATCH = 256  # documents that are looked up, or deleted, together
PASSAGE_SIZE = 200  # tokens
# The keys of a store's info that follow from its contents.
STATISTICS = ("passages", "languages", "means")


def index(
    model: Any,
    source: str | Path,
    store: str,
    *,
    language: str | None = None,
    languages: Sequence[str] | None = None,
    size: int | None = None,
    overlap: int | None = None,
    precision: Precision = "auto",
    keep_gone: bool = False,
    skip_bad: bool = True,
    vectors: str | Path | None = None,
    on_write: Callable[[int], None] | None = None,
    trust_remote_code: bool = False,
) -> IndexReport:
    """Put documents into a store; documents that are there and unchanged are not encoded again.

    Args:
        model: What `load_encoder` takes: a model folder, a hub name, a service, a function.
        source: A .jsonl or .parquet file, a BEIR folder, a folder of text, Markdown, HTML and PDF,
            another store, or a Parquet file that `export` wrote of one. Nothing of these two is
            encoded: the same model made their vectors, or a model without the transform of this
            one, and then they pass through the transform. The documents of a file come beside those
            that are there; a store takes on all that another one holds, and no more.
        store: A folder, or milvus://host:port/name.
        language: Language of documents that do not state theirs; by default it is identified.
        languages: The languages among which it is identified; by default all.
        size: Tokens of a passage; by default 200, or what the model takes if that is less.
        overlap: Tokens of sentences that a passage repeats of the one before it; by default a fifth
            of `size`.
        precision: "fp32", "bf16", or "auto" for bf16 where it is faster.
        keep_gone: Keep documents that the source no longer has.
        skip_bad: Skip what cannot be read and report it, instead of raising.
        vectors: A folder that `mixling encode` made of the same file. Each document is then one
            passage, as it was encoded, and nothing is encoded.
        on_write: Called after each commit with the number of commits.
        trust_remote_code: Run code that comes with the model; see `Retriever`.

    Returns:
        What was done, and what the store holds.

    Raises:
        MixlingError: The source cannot be read, another model made the store, or a size does not
            fit the model.
        BadRowError: A row or file cannot be read and `skip_bad` is False.

    Example:
        ```python
        report = mixling.index("intfloat/multilingual-e5-small", "documents.jsonl", "index")
        print(report.documents, report.passages, report.languages)
        ```
    """
    keep_freed_memory()
    limit_kernel_caches()
    skipped = Skipped(skip_bad)
    # The source is opened first, so that a missing one is reported before a model is loaded or a
    # store is created.
    origin = open_searchable_store(str(source)) if is_store(str(source)) else None
    if origin is not None and str(source) == store:
        raise MixlingError(f"{store}: the source and the store are the same. Name another --store.")
    exported = origin.info if origin is not None else stored_info(Path(source))
    default_language = (
        None if first_known_language(language) is None else language_tag(str(language))
    )
    possible_languages = check_languages(languages)
    path = Path(source)
    opened = None if exported is not None else open_documents(path, skipped, default_language)
    retriever = load_encoder(model, trust_remote_code=trust_remote_code)
    log_settings(retriever)
    size, overlap = _passage_size(retriever, size, overlap)
    encodes = opened is not None and vectors is None
    # a pass of its own, so that the cost of all documents is known before the first is sent
    _, documents = (
        open_documents(path, Skipped(skip_bad), default_language) if encodes else (0, iter(()))
    )
    check_index_cost(retriever, documents, store, possible_languages, size, overlap)
    encoded = None if vectors is None else EncodedDocuments(vectors, retriever)
    info = _new_info(retriever, 0 if encoded else size, 0 if encoded else overlap)
    transform = None
    if exported is not None:
        info, transform = _exported_info(str(source), exported, retriever, info)
    with lock_store(store), _disk_errors(store):
        target = open_or_create_store(store, retriever.dimensions, info)
        _check_same_settings(target, info)
        if opened is None:
            rows = exported_rows(path) if origin is None else stored_rows(origin, str(source))
            passages = int((exported or {}).get("passages", 0))
            report, keys = import_rows(rows, passages, target, transform)
            if origin is not None and not keep_gone:  # a file comes beside what is there
                report = replace(report, gone=_delete_gone(target, keys))
        else:
            identifier = LanguageIdentifier(possible_languages)
            precision = choose_precision(retriever.device, precision)
            writer = PassageWriter(
                target, retriever, precision, identifier, size, overlap, encoded, on_write
            )
            report = _index_documents(path, opened, writer, keep_gone, skipped)
        target.finish()
        target.write_info({**target.info, **_statistics(target)})
    if exported is None and not isinstance(retriever, ExternalEncoder):
        remember_model(retriever, info["encoder"], info["reading"])  # for the first search
    counts = target.info["languages"]
    known = {language_tag(x) for x in transform_languages(retriever)}
    return replace(
        report,
        passages=target.info["passages"],
        languages=counts,
        language_variance=language_variance(target.info["means"], counts) if known else None,
        new_languages={x: n for x, n in counts.items() if known and language_tag(x) not in known},
    )


def _passage_size(retriever: AnyEncoder, size: int | None, overlap: int | None) -> tuple[int, int]:
    """Return the size and the overlap of passages in tokens, as given or by default."""
    maximum = retriever.max_length - RESERVED_TOKENS
    size = min(PASSAGE_SIZE, maximum) if size is None else size
    overlap = size // 5 if overlap is None else overlap
    if size > maximum or not 0 <= overlap < size:
        raise MixlingError(
            f"size is {size} and overlap is {overlap}. A passage has at most {maximum} tokens "
            "with this model, and its overlap must be from 0 to less than its size."
        )
    return size, overlap


def _new_info(retriever: AnyEncoder, size: int, overlap: int) -> dict[str, Any]:
    """Return the info of a store that a model makes."""
    folder = Path(retriever.name)
    return {
        "model": str(folder.resolve()) if folder.is_dir() else retriever.name,
        "encoder": model_fingerprint(retriever),
        "reading": config_fingerprint(retriever),
        "prompts": {role: retriever.prompt(role) for role in ("query", "passage")},
        "dimensions": retriever.dimensions,
        "size": size,
        "overlap": overlap,
        "titles": retriever.settings.titles.value,
        "settings": retriever.settings.to_dict(),
        # what a search gives to the model too
        "model_options": retriever.options,
        "versions": library_versions(),
    }


def _exported_info(
    source: str, exported: dict[str, Any], retriever: AnyEncoder, info: dict[str, Any]
) -> tuple[dict[str, Any], VectorTransform | None]:
    """Return the info for a copy of a store, and the transform of its vectors.

    Args:
        source: The store, or the file that was exported of it.
        exported: The info of that store.
        retriever: The model.
        info: The info of a store that the model makes.
    """
    remaining = remaining_modules(retriever, exported)
    if remaining is None:
        raise MixlingError(
            f"{source}: the vectors were made with {exported['model']}. {retriever.name} has "
            "other weights or prompts. Use the same model, or one that was debiased from it."
        )
    if not remaining:
        return {key: value for key, value in exported.items() if key not in STATISTICS}, None
    passages = {key: exported.get(key) for key in ("size", "overlap", "titles")}
    return {**info, **passages}, partial(_apply_modules, retriever, remaining)


def _apply_modules(
    retriever: AnyEncoder,
    modules: Sequence[Any],
    vectors: np.ndarray,
    languages: list[str],
) -> np.ndarray:
    """Pass the vectors of passages, float32 `[n, dim]`, through the last parts of a model."""
    return normalize_for_similarity(
        retriever, retriever.encode_tail(vectors, None, "passage", languages, modules)
    )


def _check_same_settings(store: Store, info: dict[str, Any]) -> None:
    """Raise `MixlingError` where a store was made with another model or other sizes."""
    for key in ("encoder", "reading", "prompts", "size", "overlap", "titles", "model_options"):
        if key == "reading" and key not in store.info:  # of an earlier version
            continue
        if (store.info.get(key) or None) != (info.get(key) or None):
            stored, new = (str(x.get(key))[:60] for x in (store.info, info))
            name = "way of reading titles" if key == "titles" else key
            raise MixlingError(
                f"the store was made with another {name} ({stored}, not {new}), by "
                f"{store.info.get('model')}. Index into another --store, or use the same {name}."
            )


def _index_documents(
    source: Path,
    opened: tuple[int, Iterator[Document]],
    writer: PassageWriter,
    keep_gone: bool,
    skipped: Skipped,
) -> IndexReport:
    """Write new and changed documents, and delete those that are gone."""
    total, documents = opened
    seen = array("Q")  # a key of 8 bytes a document
    batch: list[Document] = []
    done = 0
    with Progress("indexing") as bar:
        for document in documents:
            batch.append(document)
            if len(batch) == DOCUMENT_BATCH:
                seen.extend(document_key(x.id) for x in batch)
                writer.add(batch)
                done, batch = done + len(batch), []
                bar(done, total, f"{writer.encoded:,} passages encoded")
        seen.extend(document_key(x.id) for x in batch)
        writer.add(batch)
        writer.write()
    keys = np.unique(np.frombuffer(seen, np.uint64))
    if len(keys) < len(seen):
        raise MixlingError(
            f"{source}: {len(seen) - len(keys)} documents have the same id as another document. "
            "Give each its own id."
        )
    if not len(seen) and not keep_gone and writer.store.count():
        raise MixlingError(
            f"{source}: no document could be read ({len(skipped.rows)} were skipped), so the "
            "store would lose all of its documents. Correct the source, or remove the store."
        )
    return IndexReport(
        documents=len(seen),
        unchanged=writer.unchanged,
        written=len(seen) - writer.unchanged,
        gone=0 if keep_gone else _delete_gone(writer.store, keys),
        passages_encoded=writer.encoded,
        passages_titled=writer.titled,
        skipped=tuple(str(row) for row in skipped.rows),
        left_out=dict(sorted(skipped.left_out.items())),
    )


def _delete_gone(store: Store, keys: np.ndarray) -> int:
    """Delete the documents that the source no longer has, and return how many.

    Args:
        store: The store.
        keys: Keys of the source's documents, uint64 `[n]`, sorted.
    """
    gone: list[str] = []
    for ids in store.document_ids():
        stored_keys = np.array([document_key(x) for x in ids], np.uint64)
        is_in_source = np.zeros(len(ids), bool)
        if len(keys):  # looked up in the sorted keys: np.isin would sort them anew for each batch
            places = np.minimum(np.searchsorted(keys, stored_keys), len(keys) - 1)
            is_in_source = keys[places] == stored_keys
        gone += [x for x, in_source in zip(ids, is_in_source, strict=True) if not in_source]
    for begin in range(0, len(gone), DOCUMENT_BATCH):
        store.delete(gone[begin : begin + DOCUMENT_BATCH])
    return len(gone)


def _statistics(store: Store) -> dict[str, Any]:
    """Count the passages of each language and average their vectors.

    Searches compute the language offsets from the means.
    """
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for batch_languages, vectors in store.vectors():
        tags = np.array(batch_languages)
        for language in np.unique(tags):
            selected = vectors[tags == language]
            sums[language] = sums.get(language, 0) + selected.sum(0, dtype=np.float64)
            counts[language] = counts.get(language, 0) + len(selected)
    means = {x: (sums[x] / counts[x]).astype(np.float32).tolist() for x in sorted(counts)}
    return {
        "passages": sum(counts.values()),
        "languages": dict(sorted(counts.items())),
        "means": means,
    }


@contextmanager
def _disk_errors(store: str) -> Iterator[None]:
    """Turn a store's errors about a full or read-only disk into a `MixlingError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        message = disk_message(error)
        if message is None:
            raise
        raise MixlingError(f"{store}: {message}") from None
