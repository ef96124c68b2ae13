"""MFAQ (De Bruyn et al. 2021, arXiv:2109.12870): queries and answers of web pages."""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_field, language_tag
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, Repository, Source, is_wanted, parse_languages
from mixling.corpora.values import is_missing, iter_objects, text_field, value_text
from mixling.errors import BadRowError, MixlingError, Skipped

# the folders of the publication; `no` is nb as a BCP-47 tag
FOLDERS = parse_languages("cs da de en es fi fr he hr hu id it nl no pl pt ro ru sv tr vi")
_FILES = {"train": "train.jsonl", "validation": "valid.jsonl"}


def read_mfaq(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the files <language>/train.jsonl or valid.jsonl, which hold a page a line.

    A page has a domain and `qa_pairs`, each with question, answer and language. Some pairs of a
    page are in another language than its folder; they keep theirs.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages of the folders that are read, and of the pairs; None: all.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus. Pairs whose query or answer is empty, as some are in the publication, are left
        out and listed.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped, left_out = CorpusBuilder("mfaq"), Skipped(skip_bad), list[Exception]()
    wanted = [name for name in FOLDERS if is_wanted(language_tag(name), languages)]
    paths = [p for name in wanted for p in find_published(folder, f"{name}/{_FILES[split]}")]
    if not paths:
        raise MixlingError(
            f"{folder}: the file {' or '.join(wanted) or '<language>'}/{_FILES[split]} is "
            "missing. Fetch the data set again."
        )
    for path in paths:
        for line, page in read_json_lines(path, skipped):
            for n, pair in iter_objects(page.get("qa_pairs"), "qa_pairs", path, line, skipped):
                place = f"{line}.qa_pairs[{n}]"
                empty = [f for f in ("question", "answer") if is_missing(pair.get(f))]
                if empty:
                    left_out.append(
                        MixlingError(
                            f"{path}:{place}: the pair is left out, because '{empty[0]}' is empty"
                        )
                    )
                    continue
                try:
                    query = text_field(pair, "question", path, place)
                    answer = text_field(pair, "answer", path, place)
                    language = value_text(pair.get("language"), "language", path, place)
                    code = language_field(language or path.parent.name, "language", path, place)
                except BadRowError as bad:
                    skipped(bad)
                    continue
                if is_wanted(code, languages):
                    key = f"{path.parent.name}-{line}-{n}"
                    builder.add_query(key, query, code, key)
                    builder.add_link(key, builder.add_passage(answer, answer, code))
    return builder.build([*skipped.rows, *left_out])


def _files(split: str, languages: Languages) -> list[Files]:
    """Return the files that a split and some languages need."""
    return [
        Files(f"data/{name}/{_FILES[split]}", ("qa_pairs",))
        for name in FOLDERS
        if is_wanted(language_tag(name), languages)
    ]


MFAQ = Source(
    "mfaq",
    "questions and answers of web pages in 21 languages",
    tuple(map(language_tag, FOLDERS)),
    ("train", "validation"),
    "CC0-1.0",
    "De Bruyn et al. 2021, arXiv:2109.12870",
    "hub clips/mfaq, folder data (one folder a language)",
    read_mfaq,
    "mfaq",
    # from the hub's own pages: the newest commit that they show
    repositories=(Repository("clips/mfaq", _files, "72248e10c1bbe5e3c3710e5e969a41947ca43937"),),
)
