"""Training sources of the low-resource trials, as folders: `python -m studies.low_resource_trials`.

Each source is read, loses every group that meets a test or development task, and is written once,
so that short trials do not read the whole help of LibreOffice again. counts.json beside the folders
has what was read and what was left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from studies.low_resource_dev import AFRICAN, SOUTH_ASIAN, SOUTHEAST_ASIAN, TASKS

from mixling.batches.translation_groups import translation_groups
from mixling.corpora.catalog import SOURCES, load
from mixling.corpora.corpus import Corpus
from mixling.corpora.files import write_text
from mixling.corpora.folder import write_folder
from mixling.corpora.languages import language_script
from mixling.corpora.overlap import OtherTexts, index_texts, without_overlap
from mixling.corpora.sources.bitext import parallel_corpus
from mixling.disk import read_object
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.noise import romanize, typos
from mixling.models.weights import DEFAULT
from mixling.preparation.locate_answers import locate_answers
from mixling.preparation.mine_negatives import mine_negatives

LOW_RESOURCE = ["en", *f"{AFRICAN},{SOUTH_ASIAN},{SOUTHEAST_ASIAN}".split(",")]
# languages of the help: all, and a few for a trial of the trials
HELP, FEW = list(SOURCES["libreoffice-help"].languages), ["en", "eu", "km"]
SIZE = 32  # pairs of a batch, which every language of a source must be able to fill
TESTS = (
    "xquad-r",
    "xquad-paragraphs",
    "mlqa-r",
    "afriqa:test",
    "tydi:dev",
    "sib-200:test",
    "tico-19:test",
    "quran:test",
    "udhr:test",
    "arcd:test",
    "libreoffice-help:test",
    "libreoffice-sections:test",
)
NOISY = 3  # one query in so many is noisy
TYPOS, ROMANIZED = 0.1, 1.0  # rates of noise


def _sib_and_udhr() -> Corpus:
    """Return SIB-200's sentences with the Declaration's articles.

    The Declaration's twenty articles alone would not fill a batch.
    """
    corpora = [load("sib-200", "train", languages=LOW_RESOURCE)]
    languages = [x for x in LOW_RESOURCE if x in SOURCES["udhr"].languages]
    corpora.append(load("udhr", "train", languages=languages))
    rows = [
        (f"{c.name} {group}", language, text)
        for c in corpora
        for group, language, text in zip(
            *(c.queries[k].to_pylist() for k in ("group", "language", "text")), strict=True
        )
    ]
    return parallel_corpus("sib-udhr", *zip(*rows, strict=True))


# by name: a function of whether a few languages are enough
READERS: dict[str, Callable[[bool], Corpus]] = {
    "mlqa": lambda few: load("mlqa", "train"),
    "tydi": lambda few: load("tydi", "train-rest"),
    "jaquad": lambda few: load("jaquad", "train"),
    "help": lambda few: load("libreoffice-help", "train", languages=FEW if few else HELP),
    "sections": lambda few: load("libreoffice-sections", "train", languages=FEW if few else HELP),
    "sib": lambda few: load("sib-200", "train", languages=LOW_RESOURCE),
    "sib-udhr": lambda few: _sib_and_udhr(),
    "tico": lambda few: load("tico-19", "train"),
    "quran": lambda few: load("quran", "train"),
    "afriqa": lambda few: load("afriqa", "train"),
}
# what is made of another source: its name, and the function of that source and the folder to write
LOCATED, MINED, WITH_NOISE = "-sentences", "-mined", "-noisy"


def prepare(name: str, out: Path, groups: int | None = None) -> Path:
    """Return the folder of a source; it is written if it is not there yet.

    Args:
        name: A name of `READERS`, or one with an ending: "-sentences" (answers located by the
            zero-shot model), "-mined" (with its intruders as hard negatives), "-noisy" (one query
            in three with typos, or in Latin letters).
        out: The folder of all sources.
        groups: Take so many passage groups alone, for a trial of the trials.
    """
    folder = out / name
    if (folder / "qrels").is_dir():
        return folder
    for ending, make in (
        (LOCATED, lambda c: locate_answers(DEFAULT, c, folder, precision="bf16")),
        (MINED, lambda c: mine_negatives(DEFAULT, c, folder, precision="bf16")),
        (WITH_NOISE, lambda c: write_folder(add_noise(c), folder, parquet=True)),
    ):
        base = name.removesuffix(ending)
        if base != name:
            make(load(base, path=prepare(base, out, groups)))
            return folder
    corpus = READERS[name](groups is not None)
    if groups is not None:
        # groups that all languages have come first, so that a batch of any language can be filled
        labels = corpus.passages["group"].value_counts().to_pylist()
        labels.sort(key=lambda x: (-x["counts"], x["values"]))
        corpus = corpus.select(passage_groups=[x["values"] for x in labels[:groups]])
    rest = without_overlap(corpus, test_texts(groups is not None))
    small = small_languages(rest)
    if small:
        rest = rest.select(languages=[x for x in rest.languages() if x not in small])
    write_folder(rest, folder, parquet=True)
    file = out / "counts.json"
    counts = read_object(file) if file.exists() else {}
    counts[name] = {
        "queries": corpus.queries.num_rows,
        "passages": corpus.passages.num_rows,
        "queries left": rest.queries.num_rows,
        "passages left": rest.passages.num_rows,
        "languages": rest.languages(),
        "languages with too few groups": small,
        "left out": dict(rest.left_out),
        "origin": dict(corpus.origin),
    }
    write_text(file, json.dumps(counts, indent=1, ensure_ascii=False))
    return folder


def small_languages(corpus: Corpus) -> list[str]:
    """Return the languages with some pairs of their own, but too few to fill a batch."""
    groups = translation_groups(corpus)
    same = groups.has_query & groups.has_passage
    counts = [len(np.unique(groups.conflict_group[same[:, i]])) for i in range(same.shape[1])]
    return [x for x, n in zip(groups.languages, counts, strict=True) if 0 < n < SIZE]


@cache
def test_texts(few: bool) -> OtherTexts:
    """Return the texts of all tests and development tasks.

    Args:
        few: Read only those that take no time, for a trial of the trials.
    """
    names = [*TESTS, *TASKS.values()]
    if few:
        names = ["afriqa:test", "tydi:dev", "mlqa-r", "mlqa-held-out"]
    tasks = {name: load_task(name) for name in names}
    return index_texts({name: (t.queries, t.passages) for name, t in tasks.items()})


def add_noise(corpus: Corpus) -> Corpus:
    """Return a corpus in which one query in three is as people type it.

    A query in another script than Latin is written in Latin letters, or has typos, by a hash; one
    in Latin letters has typos.
    """
    texts = []
    for key, text, language in zip(
        *(corpus.queries[c].to_pylist() for c in ("id", "text", "language")), strict=True
    ):
        digest = hashlib.sha256(f"{language}:{key}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        if digest[8] % NOISY:
            texts.append(text)
        elif language_script(language) != "Latn" and digest[9] % 2:
            texts.append(romanize(text, language, ROMANIZED, rng))
        else:
            texts.append(typos(text, language, TYPOS, rng))
    column = corpus.queries.schema.get_field_index("text")
    queries = corpus.queries.set_column(column, "text", pa.array(texts, pa.string()))
    return replace(corpus, queries=queries)


def source_tables(names: Sequence[str], out: Path, groups: int | None) -> list[dict[str, str]]:
    """Return the sources of a configuration, each prepared.

    Sentences with translations stand in batches of two languages alone, because each would be its
    own answer in one.
    """
    return [
        {
            "name": name,
            "path": str(prepare(name, out, groups)),
            **({"batch_type": "cross"} if name in ("sib-udhr", "tico", "quran") else {}),
        }
        for name in names
    ]
