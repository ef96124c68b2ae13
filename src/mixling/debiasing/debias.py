"""Debias a model: fit a transform on multilingual texts, and write the model with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.corpus import Corpus
from mixling.corpora.languages import language_tag
from mixling.corpora.resources import resource_level
from mixling.debiasing.embedded_corpus import EmbeddedCorpus, embed_corpus
from mixling.debiasing.method import DebiasingMethod, Transform
from mixling.debiasing.registry import create_method
from mixling.debiasing.write_model import write_debiased
from mixling.disk import check_new_folder
from mixling.errors import MixlingError, check_at_least
from mixling.models.encoder import ExternalEncoder
from mixling.models.precision import Precision
from mixling.progress import Progress

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

BITEXT_SOURCE, RETRIEVAL_SOURCE = "sib-200", "mlqa"
MANY_LANGUAGES = 40  # of bitext in more languages, only well-resourced ones are used
MAX_SENTENCES = 100  # sentences used of bitext in many languages


def debias(
    model: Any,
    method: str | DebiasingMethod = "lsar",
    fit: Sequence[str] | None = None,
    out: str | Path | None = None,
    *,
    languages: Sequence[str] | None = None,
    texts: int | None = None,
    vector_cache: str | Path | None = None,
    precision: Precision = "auto",
    trust_remote_code: bool = False,
) -> Transform:
    """Fit a transform that removes the language from vectors, and write the model with it.

    The encoder is not trained.

    Args:
        model: What `load_encoder` takes: a model folder, a hub name, a service, a function. Of an
            encoder without weights the folder holds the transform, and is a model all the same.
        method: A name ("centering", "lir", "lsar", "leace", "shift", "trained", "scores") for the
            method with its defaults, or a method with options, such as `Lsar(rank=3)`.
        fit: Sources to fit on: names such as "sib-200" or "mlqa:train", or folders. Default:
            sib-200, and mlqa too for a method that needs queries.
        out: The folder to write. Default: nothing is written.
        languages: Languages of the texts, `["all"]` for all. Default: all of a source with 40
            languages or fewer, else those of which CC-100 holds much.
        texts: Translation groups of a source of sentences and their translations. Default: 100 of
            a source with more than 40 languages, else all.
        vector_cache: A folder that keeps the encoder's vectors for the next call.
        precision: Number format that the encoder computes in.
        trust_remote_code: Run Python code that the model's files bring (see `Retriever`).

    Returns:
        The transform, or for "scores" the calibration.

    Raises:
        MixlingError: The method, a source or `out` cannot be used.

    Example:
        >>> from mixling.debiasing.lsar import Lsar
        >>> mixling.debias("intfloat/multilingual-e5-small", Lsar(rank=10), out="fair")
        AffineTransform(dim=384, metadata={'method': 'lsar', 'rank': 10, 'languages': 92})
    """
    from mixling.models.encoders import load_encoder

    method = create_method(method)
    check_at_least(1, texts=texts)
    if out is not None:
        check_new_folder(out)
    if not fit:
        fit = [BITEXT_SOURCE, RETRIEVAL_SOURCE] if method.needs_queries else [BITEXT_SOURCE]
    # before the model is loaded, so that a source that is missing is reported at once
    sources = [read_source(name, languages) for name in fit]
    retriever = load_encoder(model, trust_remote_code=trust_remote_code)
    _check_encoder(retriever, method)
    if hasattr(retriever, "check_cost"):
        retriever.check_cost([x for source in sources for x in _texts_by_role(*source, texts)])
    cache = None if vector_cache is None else Path(vector_cache)
    corpora = [
        _embed(retriever, name, corpus, bitext, texts, precision, cache, method.raw)
        for name, (corpus, bitext) in zip(fit, sources, strict=True)
    ]
    transform = fit_transform(method, corpora)
    if out is not None:
        origin = {
            "model": retriever.name,
            "fit": list(fit),
            "languages": sorted({x for c in corpora for x in c.languages()}),
            "texts": int(sum(len(c.queries) + len(c.passages) for c in corpora)),
        }
        write_debiased(retriever, transform, method.name, Path(out), origin)
    return transform


def _check_encoder(encoder: Retriever | ExternalEncoder, method: DebiasingMethod) -> None:
    """Refuse a method that needs more of an encoder than its vectors."""
    if isinstance(encoder, ExternalEncoder) and (method.raw or not method.transforms_vectors):
        raise MixlingError(
            f"{encoder.name}: method '{method.name}' needs a model whose weights are on this "
            "machine, but this encoder only returns vectors. Choose a method that transforms "
            "vectors, such as lsar."
        )


def _texts_by_role(
    corpus: Corpus, bitext: bool, texts: int | None
) -> list[tuple[list[str], str, list[str | None] | None]]:
    """Return the texts of a source that would be encoded, with role and titles."""
    parts: list[tuple[list[str], str, list[str | None] | None]] = []

    def collect(batch: list[str], role: str, titles: list[str | None] | None) -> np.ndarray:
        parts.append((batch, role, titles))
        return np.zeros((len(batch), 1), np.float32)

    embed_corpus(corpus, collect, bitext, texts=_number_of_texts(corpus, bitext, texts))
    return parts


def _number_of_texts(corpus: Corpus, bitext: bool, texts: int | None) -> int | None:
    """Return how many query groups of a source are used, None for all."""
    if texts is None and len(corpus.languages()) > MANY_LANGUAGES:
        texts = MAX_SENTENCES
    return texts if bitext else None


def fit_transform(method: str | DebiasingMethod, corpora: Sequence[EmbeddedCorpus]) -> Transform:
    """Fit a method on vectors, once it is clear that they have what it needs.

    Args:
        method: A method, or the name of one with its defaults.
        corpora: Texts as vectors, one corpus for each source.

    Returns:
        The transform.

    Raises:
        MixlingError: The texts lack what the method needs.
    """
    method = create_method(method)
    method.check(corpora)
    return method.fit(corpora)


def read_source(name: str, languages: Sequence[str] | None) -> tuple[Corpus, bool]:
    """Read a source to fit on.

    Args:
        name: `NAME[:SPLIT]` of a source, by default its training split, or a folder.
        languages: Languages to take, `["all"]` for all. Default: all of a source with 40 or
            fewer, else those of which CC-100 holds much.

    Returns:
        The corpus, and whether it is sentences and their translations.

    Raises:
        MixlingError: The source cannot be read or has none of the languages.
    """
    source_name, _, split = name.partition(":")
    if source_name not in SOURCES:
        corpus, bitext = load(name), False
    else:
        source = SOURCES[source_name]
        corpus = load(source_name, split or None, for_training=True)
        bitext = source.parallel
    if languages is None and len(corpus.languages()) > MANY_LANGUAGES:
        languages = [x for x in corpus.languages() if resource_level(x) == "high"] or None
    if languages is not None and list(languages) != ["all"]:
        tags = [language_tag(x) for x in languages]
        available = [x for x in tags if x in corpus.languages()]
        if not available:
            raise MixlingError(
                f"source '{name}' has none of the languages {', '.join(languages)}. Choose "
                "languages that the source has."
            )
        corpus = corpus.select(languages=available)
    return corpus, bitext


def _embed(
    retriever: Retriever | ExternalEncoder,
    name: str,
    corpus: Corpus,
    bitext: bool,
    texts: int | None,
    precision: Precision,
    cache: Path | None,
    raw: bool,
) -> EmbeddedCorpus:
    """Encode a source, with progress."""
    from mixling.encoding.vectors import encode_cached

    def encode(batch: list[str], role: str, titles: list[str | None] | None) -> np.ndarray:
        with Progress(f"{name}: {'queries' if role == 'query' else 'passages'}") as bar:
            return encode_cached(
                retriever,
                batch,
                role,
                titles=titles,
                precision=precision,
                folder=cache,
                raw=raw,
                progress=bar,
            )[0]

    return embed_corpus(corpus, encode, bitext, texts=_number_of_texts(corpus, bitext, texts))
