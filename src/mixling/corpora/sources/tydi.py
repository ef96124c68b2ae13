"""TyDi QA GoldP 1.1 (Clark et al. 2020, arXiv:2003.05002): native speakers' queries, untranslated.

Three forms give the same corpus: the published train file with all languages, the published dev
archive with a file a language, and the files that XTREME's script makes of both. XTREME cuts the
ids of train to their last number and the answers of dev to nothing. So a query is named here by its
language and its place among the queries of that language (`sw-17`), which XTREME keeps, and places
of answers are read in train alone.

Each query is a group of its own. Several queries share a paragraph, which is one passage. The
passages of other languages are distractors.

Dev is a test set here, so `held-out` is a part of train on which settings may be chosen, and
`train-rest` is what is left to train on. A hash of its text decides about each paragraph, so that
neither the other files of a folder nor the form of the files can move it. Some questions stand on
several paragraphs: `train-rest` has none of those that `held-out` has.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json
from mixling.corpora.overlap import index_texts, without_overlap
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Download, Languages, Source, is_wanted, require_languages
from mixling.errors import BadRowError, MixlingError, Skipped

_ADDRESS = "https://storage.googleapis.com/tydiqa/v1.1"
NAMES = {
    "arabic": "ar",
    "bengali": "bn",
    "english": "en",
    "finnish": "fi",
    "indonesian": "id",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
}
_TRAIN_SPLITS = ("train", "held-out", "train-rest")
_HELD_OUT = 5  # one paragraph of train in so many is held out


def read_tydi(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read TyDi QA GoldP in any of its forms: SQuAD's form, one query a paragraph.

    Args:
        folder: The folder.
        split: The split: `train` and `dev` as published, `held-out` and `train-rest` parts of
            train.
        languages: The languages; None: all.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    if split not in ("held-out", "train-rest"):
        return _read_published(folder, split, languages, skip_bad)
    corpus = _read_published(folder, "train", languages, skip_bad)
    held_out, rest = (_part(corpus, part) for part in (True, False))
    if split == "held-out":
        return held_out
    texts = (held_out.queries["text"].to_pylist(), held_out.passages["text"].to_pylist())
    return without_overlap(rest, index_texts({"tydi:held-out": texts}))


def _part(corpus: Corpus, held_out: bool) -> Corpus:
    """Return the held-out paragraphs of train, or the others."""
    texts, groups = (corpus.passages[c].to_pylist() for c in ("text", "group"))
    return corpus.select(
        passage_groups={g for x, g in zip(texts, groups, strict=True) if is_held_out(x) == held_out}
    )


def is_held_out(paragraph: str) -> bool:
    """Return whether a paragraph of train is in the fifth that settings are chosen on.

    Args:
        paragraph: Its text; white space makes no difference.
    """
    digest = hashlib.sha256(" ".join(paragraph.split()).encode()).digest()
    return int.from_bytes(digest[:4], "big") % _HELD_OUT == 0


def _read_published(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read a split as it is published; arguments as in `read_tydi`."""
    whole = find_published(folder, f"tydiqa-goldp-v1.1-{split}.json")
    files = {
        code: path
        for name, code in NAMES.items()
        for path in find_published(folder, f"tydiqa-goldp-{split}-{name}.json")
        or find_published(folder, f"tydiqa.goldp.{code}.{split}.json")
    }
    if not whole and not files:
        raise MixlingError(
            f"{folder}: the file tydiqa-goldp-v1.1-{split}.json, "
            f"tydiqa-goldp-{split}-<language>.json or tydiqa.goldp.<language>.{split}.json is "
            f"missing. Get it at {_ADDRESS}/"
        )
    builder, skipped = CorpusBuilder("tydi"), Skipped(skip_bad)
    parts = _divide_by_language(read_json(whole[0]), whole[0], skipped) if whole else {}
    present = [code for code in NAMES.values() if parts or code in files]
    require_languages("tydi", languages, present)
    for code in present:
        if not is_wanted(code, languages):
            continue
        path = whole[0] if parts else files[code]
        content = parts[code] if parts else read_json(path)
        for number, entry in enumerate(squad.iter_questions(content), 1):
            entry["id"] = f"{code}-{number}"
            if split == "dev":
                entry["answers"] = []
        squad.add_squad(builder, content, path, code, code, skipped)
    return builder.build(skipped.rows)


def _divide_by_language(content: Any, path: Path, skipped: Skipped) -> dict[str, Any]:
    """Return, for each language, the document with the articles of other languages left empty.

    An id is `<language>-<number>-<number>`; the first number may be negative.
    """
    parts: dict[str, Any] = dict.fromkeys(NAMES.values(), content)
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        return parts  # `add_squad` says what is wrong
    parts = {code: {"data": [{} for _ in content["data"]]} for code in NAMES.values()}
    for number, article in enumerate(content["data"]):
        ids = [entry.get("id") for entry in squad.iter_questions({"data": [article]})]
        codes = {NAMES.get(str(key).partition("-")[0]) for key in ids}
        code = codes.pop() if len(codes) == 1 else None
        if code is None:
            expected = "ids of one language, such as finnish-8742325368463988542-0"
            skipped(
                BadRowError(path, f"data[{number}]", "id", ids, expected, "fetch the file again")
            )
        else:
            parts[code]["data"][number] = article
    return parts


TYDI = Source(
    "tydi",
    "questions of native speakers and paragraphs in the same language",
    tuple(NAMES.values()),
    ("dev", *_TRAIN_SPLITS),
    "Apache-2.0",
    "Clark et al. 2020, arXiv:2003.05002",
    f"tydiqa-goldp-v1.1-train.json and tydiqa-goldp-v1.1-dev.tgz of {_ADDRESS}/, or the files that "
    "XTREME makes of them",
    read_tydi,
    "tydiqa-goldp",
    counts={"dev": (5077, 4488)},
    downloads=(
        Download(
            f"{_ADDRESS}/tydiqa-goldp-v1.1-train.json",
            sha256="cefc8e09ff2548d9b10a678d3a6bbbe5bc036be543f92418819ea676c97be23b",
            splits=_TRAIN_SPLITS,
        ),
        Download(
            f"{_ADDRESS}/tydiqa-goldp-v1.1-dev.tgz",
            "tydiqa-goldp-v1.1-dev",
            sha256="5a415d019a345794c8a83191ecfe4a761eaab69dab79c3c9813d4379e1cc5519",
            splits=("dev",),
        ),
    ),
)
