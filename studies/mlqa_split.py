"""Measure whether the parts of MLQA test leak into each other when files are missing.

    python -m studies.mlqa_split

All committed studies trained on 16 of the 49 files of MLQA test. Dev, of which all 49 are at hand,
stands for the published test part, and its files of the same pairs of languages for the 16. Three
rules divide it:

- group: the hash of the passage group's name, as before; the name follows from the files.
- list: the shipped rule. Queries are listed once: those that `group` holds out in the 16 files. A
  group with a listed and another query is in neither part.
- query: as `list`, but each query is listed by the hash of its own id.

A passage leaks that is held out in one set of files and trained on in another. Sets of files are
the 16, all, and random ones, of which some hold another. The figures are sums over hashes with
different salts. Writes studies/mlqa-split.json.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mixling.corpora.catalog import find_source
from mixling.corpora.corpus import connected_components
from mixling.corpora.files import write_text
from mixling.corpora.json_files import read_json
from mixling.errors import MixlingError

SALTS, SIZES = 300, (1, 2, 3, 5, 8, 16, 30, 45)
Pair = tuple[str, str]
Passage = tuple[str, str]
# language of the contexts, of the questions
STUDIED = [
    *(("de", x) for x in ("ar", "es", "hi", "vi", "zh")),
    *(("es", x) for x in ("ar", "de", "hi", "vi", "zh")),
    ("vi", "de"),
    *(("zh", x) for x in ("ar", "de", "es", "hi", "vi")),
]
Group = tuple[set[str], set[Passage]]
Links = dict[Pair, set[tuple[str, Passage]]]
# the held-out passages and those to train on
Parts = tuple[set[Passage], set[Passage]]
# from the queries of a group: whether they are held out; two answers: they disagree
Rule = Callable[[set[str]], set[bool]]


def main() -> None:
    """Divide MLQA dev in three ways for many sets of files and write what leaks."""
    folder = find_source("mlqa")
    if folder is None:
        raise MixlingError("MLQA is not on this machine; unpack MLQA_V1.zip in data/mlqa")
    links = _links(folder / "dev")
    everything, rng = sorted(links), random.Random(0)
    totals = defaultdict[tuple[str, str], float](float)
    for salt in map(str, range(SALTS)):
        first, second = (rng.sample(everything, rng.choice(SIZES)) for _ in range(2))
        sets = {"16": STUDIED, "all": everything, "random": first, "other": second}
        sets["larger"] = sorted({*first, *second})
        groups = {name: _groups(links, files) for name, files in sets.items()}
        for name, held_out in _rules(groups["16"], salt).items():
            parts = {x: _divide(g, held_out) for x, g in groups.items()}
            total = sum(len(passages) for _, passages in groups["all"])
            shares = [len(part) / total for part in parts["all"]]
            totals[name, "share held out"] += shares[0] / SALTS
            totals[name, "share in neither part"] += (1 - sum(shares)) / SALTS
            for a, b in (
                ("16", "all"),
                ("all", "16"),
                ("random", "larger"),
                ("larger", "random"),
                ("random", "other"),
                ("random", "16"),
                ("16", "random"),
            ):
                pair = f"held out in {a}, trained on in {b}"
                totals[name, pair] += len(parts[a][0] & parts[b][1])
                totals[name, f"{pair}: held-out passages"] += len(parts[a][0])
    result: dict[str, dict[str, float]] = {}
    for (name, what), value in totals.items():
        result.setdefault(name, {})[what] = round(value, 4)
        print(f"{name:6} {what:62} {value:10.4f}")
    text = json.dumps({"salts": SALTS, "rules": result}, indent=1)
    write_text(Path("studies/mlqa-split.json"), text + "\n")


def _links(folder: Path) -> Links:
    """Return the pairs of question id and passage (language, text) of each file."""
    links: Links = {}
    for path in folder.glob("*context-*-question-*.json*"):
        _, _, language, _, query_language = path.name.partition(".")[0].split("-")
        links[language, query_language] = {
            (question["id"], (language, paragraph["context"]))
            for article in read_json(path)["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        }
    return links


def _groups(links: Links, files: Iterable[Pair]) -> list[Group]:
    """Return the questions and passages that the files join, group by group."""
    edges = sorted({link for f in files for link in links[f]})
    queries, passages = (sorted({e[i] for e in edges}) for i in range(2))
    rows, columns = ({x: i for i, x in enumerate(texts)} for texts in (queries, passages))
    label = connected_components(
        np.array([rows[q] for q, _ in edges]),
        np.array([columns[p] for _, p in edges]),
        len(queries),
        len(passages),
    )
    groups: dict[int, Group] = {}
    for query, passage in edges:
        members = groups.setdefault(int(label[rows[query]]), (set(), set()))
        members[0].add(query)
        members[1].add(passage)
    return list(groups.values())


def _rules(ours: list[Group], salt: str) -> dict[str, Rule]:
    """Return the rules by name, with a list that fits the groups of the 16 files."""
    listed = {q for queries, _ in ours if _drawn(min(queries), salt) for q in queries}
    return {
        "group": lambda queries: {_drawn(min(queries), salt)},
        "list": lambda queries: {q in listed for q in queries},
        "query": lambda queries: {_drawn(q, salt) for q in queries},
    }


def _drawn(name: str, salt: str) -> bool:
    """Return whether a hash draws a name; it draws about a tenth."""
    return hashlib.sha256((salt + name).encode()).digest()[0] % 10 == 0


def _divide(groups: list[Group], held_out: Rule) -> Parts:
    """Return the held-out and the training passages of groups whose queries agree."""
    parts: Parts = set(), set()
    for queries, passages in groups:
        answers = held_out(queries)
        if len(answers) == 1:
            parts[0 if answers.pop() else 1].update(passages)
    return parts


if __name__ == "__main__":
    main()
