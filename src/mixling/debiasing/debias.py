"""The verb `debias`: fit a map on multilingual text apart from any test, and write the model with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.files import write_text
from mixling.corpora.languages import language_tag
from mixling.corpora.resources import resource_level
from mixling.debiasing.centering import fit_centering
from mixling.debiasing.embedded_corpus import (
    EmbeddedCorpus,
    concatenate,
    embed_corpus,
    parallel_subset,
)
from mixling.debiasing.leace import fit_leace
from mixling.debiasing.lir import fit_lir
from mixling.debiasing.lsar import fit_lsar
from mixling.debiasing.scores import fit_score_calibration
from mixling.debiasing.sharpen import sharpen_spectrum
from mixling.debiasing.shift import fit_shift
from mixling.debiasing.trained import TransformConfig, train_transform
from mixling.debiasing.transforms import AffineTransform, LanguageTransform
from mixling.disk import new_folder
from mixling.errors import MixlingError, check_finite_numbers, choose
from mixling.machine import library_versions
from mixling.models.precision import Precision
from mixling.progress import Progress

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

METHODS = ("centering", "lir", "lsar", "leace", "shift", "map", "scores")
# the trained map starts from a spectrum sharpened so
START_POWER = 0.1
# of a source of more than MANY languages, so many sentences, and only languages of which encoders have seen much
TEXTS, MANY = 100, 40


def debias(
    model: str | Retriever,
    method: str = "lsar",
    fit: Sequence[str] | None = None,
    out: str | Path | None = None,
    *,
    languages: Sequence[str] | None = None,
    texts: int | None = None,
    keep: str | Path | None = None,
    precision: Precision = "auto",
    trust_remote_code: bool = False,
    **settings: Any,
) -> AffineTransform | LanguageTransform | dict[str, Any]:
    """Fit a map on what a model makes of some sources, and write the model with it to `out`.

    fit: named sources (`sib-200`, `mlqa:train`) or folders of one's own (None: sib-200, and mlqa for "map"); languages: of the fitted texts (None: all
    they have, or of more than 40 those of which CC-100 holds much; ["all"]: all); texts: question groups of a source of
    parallel sentences (None: 100, or all there are in 40 languages or fewer); keep: a folder where vectors stay for the next call. trust_remote_code: as of Retriever. settings: of the method: rank, alpha,
    source, keep_mean, sharpen (True or a power), and those of `Recipe` for "map". Returns the map. Raises
    MixlingError.
    """
    from mixling.encoding.vectors import encode_cached
    from mixling.models.retriever import Retriever

    choose(method, METHODS, "method")
    check_options(method, settings)
    if texts is not None and texts < 1:
        raise MixlingError(f"texts {texts}: expected 1 question group or more")
    if out is not None and Path(out).exists() and (Path(out).is_file() or any(Path(out).iterdir())):
        raise MixlingError(f"{out}: exists already; choose another folder or remove it")
    raw = method == "shift"
    fit = fit or (("sib-200", "mlqa") if method == "map" else ("sib-200",))
    sources = [
        read_source(name, languages) for name in fit
    ]  # what lacks is said before the model is loaded
    retriever = (
        model
        if isinstance(model, Retriever)
        else Retriever(model, trust_remote_code=trust_remote_code)
    )
    stocks = []
    for name, (corpus, bitext) in zip(fit, sources, strict=True):
        some = (
            texts
            if texts is not None
            else (TEXTS if bitext and len(corpus.languages()) > MANY else None)
        )

        def encode(batch: list[str], role: str, name: str = name) -> np.ndarray:
            with Progress(f"{name}: {'questions' if role == 'query' else 'passages'}") as bar:
                return encode_cached(
                    retriever,
                    batch,
                    role,
                    precision=precision,
                    folder=None if keep is None else Path(keep),
                    raw=raw,
                    progress=bar,
                )[0]

        stocks.append(embed_corpus(corpus, encode, bitext, texts=some if bitext else None))
    found = fit_transform(method, stocks, **settings)
    if out is not None:
        made = {
            "model": retriever.name,
            "fit": list(fit),
            "languages": sorted({x for s in stocks for x in s.languages()}),
            "texts": int(sum(len(s.queries) + len(s.passages) for s in stocks)),
        }
        _write(retriever, found, method, Path(out), made)
    return found


def fit_transform(
    method: str, stocks: Sequence[EmbeddedCorpus], **settings: Any
) -> AffineTransform | LanguageTransform | dict[str, Any]:
    """The map of a method on stored vectors: the part of `debias` that needs no encoder."""
    bitext = [s for s in stocks if s.bitext]
    first = concatenate(bitext) if bitext else parallel_subset(concatenate(stocks))
    if method == "centering":
        return fit_centering(first, settings.get("keep_mean", False))
    if method == "lir":
        return fit_lir(first, settings.get("rank", 1))
    if method == "shift":
        return fit_shift(
            first, settings.get("alpha", 0.6), language_tag(settings.get("source", "en"))
        )
    if method == "scores":
        return fit_score_calibration(first)
    if method == "leace":
        return _sharpened(fit_leace(first), stocks, settings.get("sharpen", False))
    power = settings.get("sharpen", method == "map")
    if method == "map" and power is True:
        power = START_POWER
    start = _sharpened(fit_lsar(first, settings.get("rank")), stocks, power)
    if method == "lsar":
        return start
    names = {f.name for f in fields(TransformConfig)}
    recipe = TransformConfig(**{k: v for k, v in settings.items() if k in names})
    with Progress("map") as bar:
        return train_transform(start, stocks, recipe, bar)


def _sharpened(
    first: AffineTransform, stocks: Sequence[EmbeddedCorpus], power: bool | float
) -> AffineTransform:
    """Stretched by the spectrum of questions and passages where there are any, else of the bitext."""
    if not power:
        return first
    texts = [s for s in stocks if not s.bitext] or stocks
    return (
        sharpen_spectrum(first, texts)
        if power is True
        else sharpen_spectrum(first, texts, float(power))
    )


def check_options(method: str, settings: dict[str, Any]) -> None:
    """Refuse a setting that the method does not have; drop those that are None."""
    known = {
        "centering": {"keep_mean"},
        "lir": {"rank"},
        "lsar": {"rank", "sharpen"},
        "leace": {"sharpen"},
        "shift": {"alpha", "source"},
        "map": {"rank", "sharpen", *(f.name for f in fields(TransformConfig))},
        "scores": set(),
    }[method]
    for name in [k for k, v in settings.items() if v is not None]:
        if name not in known:
            raise MixlingError(
                f"method '{method}' has no setting '{name}'; it has: {', '.join(sorted(known)) or 'none'}"
            )
    check_finite_numbers(**{k: v for k, v in settings.items() if isinstance(v, float)})
    for name in ("rank", "steps", "size"):
        if settings.get(name) is not None and settings[name] < 1:
            raise MixlingError(f"{name} {settings[name]}: expected 1 or more")
    alpha = settings.get("alpha")
    if method == "shift" and alpha is not None and not 0 <= alpha <= 2:
        raise MixlingError(f"alpha {alpha}: expected a number from 0 to 2 (published: .6)")
    for name in [k for k, v in settings.items() if v is None]:
        del settings[name]


def read_source(name: str, languages: Sequence[str] | None) -> tuple[Any, bool]:
    """Corpus of `name[:split]` (train where there is one), and whether it is sentences and their translations."""
    kind, _, split = name.partition(":")
    if kind not in SOURCES:
        corpus, parallel = load(name), False
    else:
        source = SOURCES[kind]
        split = split or ("train" if "train" in source.splits else source.splits[0])
        corpus, parallel = load(kind, split), source.parallel
    if languages is None and len(corpus.languages()) > MANY:
        languages = [x for x in corpus.languages() if resource_level(x) == "high"] or None
    if languages is not None and list(languages) != ["all"]:
        wanted = [language_tag(x) for x in languages]
        there = [x for x in wanted if x in corpus.languages()]
        if not there:
            raise MixlingError(f"source '{name}' has none of the languages {', '.join(languages)}")
        corpus = corpus.select(languages=there)
    return corpus, parallel


def _write(
    retriever: Retriever,
    found: AffineTransform | LanguageTransform | dict[str, Any],
    method: str,
    out: Path,
    made: dict,
) -> None:
    from sentence_transformers.sentence_transformer.modules import Normalize

    from mixling.models.affine import affine_modules
    from mixling.models.card import debiased_card
    from mixling.models.language_transform import LanguageTransformModule

    settings = {"method": method} if isinstance(found, dict) else found.settings
    origin = {**retriever.origin, "debiased": {**settings, **made}}
    before = list(retriever.model)
    if isinstance(found, AffineTransform):
        _chain(retriever, [*before, *affine_modules(found.matrix, found.bias)])
    elif isinstance(found, LanguageTransform):
        size = found.offset.shape[2]
        module = LanguageTransformModule(found.languages, found.basis.shape[1], size).tensors(
            found.offset, found.basis
        )
        head = len(retriever.head_modules())
        _chain(
            retriever,
            [*before[:head], module, Normalize()] if found.raw else [*before, module, Normalize()],
        )
    try:
        written = debiased_card(
            origin["debiased"],
            library_versions()["mixling"],
            origin.get("license"),
            isinstance(found, LanguageTransform),
        )
        with new_folder(out) as folder:
            retriever.save(folder, written, origin)
            if isinstance(found, dict):
                write_text(folder / "scores.json", json.dumps(found, indent=1))
    finally:
        _chain(retriever, before)


def _chain(retriever: Retriever, modules: list[Any]) -> None:
    """Give the retriever's model these modules."""
    model = retriever.model
    for name in list(model._modules):
        del model._modules[name]
    for number, module in enumerate(modules):
        model.add_module(str(number), module)
