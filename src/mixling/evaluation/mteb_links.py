"""Translations among the subsets of mteb's tasks.

mteb ranks each subset alone. In one pool of all subsets a right passage in another language would
count as wrong, unless translations are known. Each task that is named here publishes translations
with ids that its subsets share, or asks one text in several subsets. Ids are checked on the data
before they link anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mixling.corpora.corpus import connected_components
from mixling.corpora.values import with_title
from mixling.evaluation.mteb_subset import Subset

# Translations of a query, a passage or both have one id in all subsets.
SHARED_IDS = {
    "BelebeleRetrieval",  # load_data: ids count rows; the same ones if their order is the same
    "CUREv1",  # load_data: one corpus and one qrels for the queries of all languages
    "EuroPIRQRetrieval",  # description: parallel passages and queries
    "MKQARetrieval",  # description: queries and answers translated into 25 languages
    "MMarcoRetrievalMultilingual",  # MS MARCO's ids; equal counts in descriptive_stats
    "MuPLeR-retrieval",  # description: parallel passages and queries
    "NeuCLIR2022Retrieval",  # mteb 1.x: ids of the topics, one topic for three languages
    "NeuCLIR2022RetrievalHardNegatives",
    "NeuCLIR2023Retrieval",
    "NeuCLIR2023RetrievalHardNegatives",
    "RuSciBenchCiteRetrieval",  # description: the same papers in Russian and English
    "RuSciBenchCociteRetrieval",
    "StatcanDialogueDatasetRetrieval",  # mteb 1.x: doc_id of a table in English and French
    "XQuADRetrieval",  # mteb 1.x: XQuAD's ids for queries, hashes of texts for passages
    *(
        f"MultilingualNano{name}Retrieval"  # translated from one NanoBEIR, with its ids
        for name in (
            "ArguAna", "ClimateFever", "DBPedia", "FEVER", "FiQA2018", "HotpotQA", "MSMARCO",
            "NFCorpus", "NQ", "Quora", "SCIDOCS", "SciFact", "Touche2020",
        )
    ),
}  # fmt: skip
# Each subset counts its own ids, and subsets have queries or passages of one language in common.
SHARED_TEXTS = {
    "CrossLingualSemanticDiscriminationWMT19",
    "CrossLingualSemanticDiscriminationWMT21",
    "MLQARetrieval",
    "XPQARetrieval",
}
# Passages that answer one query in several languages are translations of each other. (MLQA's are
# not: what one text says beside the answer the other need not say.)
PARALLEL_PASSAGES = {"BelebeleRetrieval"}
# Translations that nothing identifies: each language counts its own ids, no text is shared.
UNKNOWN_TRANSLATIONS = {"MintakaRetrieval", "PublicHealthQA"}

MIN_SHARED = 0.5  # of the ids of the smaller of two languages
# Logarithms of the lengths of 40 queries of XQuAD-R, MLQA-R and TICO-19 and of their translations
# correlate by .63 or more in 99 of 100 draws, and by chance by .37 or less. They say nothing where
# all texts are of one length: the standard deviations there are .32 to .79.
MIN_CORRELATION, MIN_SPREAD, MIN_TEXTS, MAX_TEXTS = 0.4, 0.3, 40, 2000
MIN_COMMON_ANSWER = 0.9  # share of queries that have an answer in common with their translation

Texts = dict[str, dict[str, str]]  # language: id: text


@dataclass
class Keys:
    """Keys of queries and passages in a pool of subsets.

    Args:
        queries: Key of a query by subset and id, where it is not the subset's own. A query that
            several subsets ask in one language has one key.
        passages: Key of a passage, likewise.
        query_groups: Group of a query's key, which its translations share; by default the key.
        passage_groups: Group of a passage's key, likewise.
        notes: What is linked and what is not.
    """

    queries: dict[tuple[str, str], str] = field(default_factory=dict)
    passages: dict[tuple[str, str], str] = field(default_factory=dict)
    query_groups: dict[str, str] = field(default_factory=dict)
    passage_groups: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def query(self, subset: str, key: str) -> str:
        """Return the key of a query."""
        return self.queries.get((subset, key), f"{subset}:{key}")

    def passage(self, subset: str, key: str) -> str:
        """Return the key of a passage."""
        return self.passages.get((subset, key), f"{subset}:{key}")


def link_subsets(task: str, subsets: Sequence[Subset]) -> Keys:
    """Find the translations among a task's subsets.

    Args:
        task: The task's name in mteb.
        subsets: Its subsets.

    Returns:
        Keys that translations share.
    """
    if len(subsets) < 2:
        return Keys()
    if task in SHARED_IDS:
        keys = link_by_id(subsets)
        all_linked = all(
            groups.get(name, name) == key
            for names, groups in (
                (keys.queries, keys.query_groups),
                (keys.passages, keys.passage_groups),
            )
            for (_, key), name in names.items()
        )
        if all_linked or task not in PARALLEL_PASSAGES:
            return keys
        keys = link_by_text(subsets)
        keys.passage_groups = _by_common_queries(subsets, keys)
        keys.notes.append("passages are linked by the queries that they answer")
        return keys
    if task in SHARED_TEXTS:
        return link_by_text(subsets)
    pairs = [(s.query_language, s.passage_language) for s in subsets]
    if task in UNKNOWN_TRANSLATIONS:
        return Keys(
            notes=[
                "translations have no common ids: in the multilingual pool a right answer in "
                "another language counts as wrong"
            ]
        )
    if len(set(pairs)) < len(pairs):
        return Keys(
            notes=[
                f"{len(pairs)} subsets are one pool and mteb ranks each alone; "
                f"mteb:{task}@{subsets[0].name} has one"
            ]
        )
    return Keys()


def link_by_id(subsets: Sequence[Subset]) -> Keys:
    """Link translations by ids, where texts and judgments bear the ids out.

    A language is linked to the one with the most texts if half of its ids are there, the lengths of
    its texts correlate with theirs, and queries of one id have an answer of one id.

    Args:
        subsets: The subsets.

    Returns:
        The keys.
    """
    queries, query_labels = _labeled([(s.query_language, s.queries) for s in subsets], subsets)
    passages, passage_labels = _labeled(
        [
            (s.passage_language, {k: with_title(t, x) for k, (x, t) in s.passages.items()})
            for s in subsets
        ],
        subsets,
    )
    linked_queries, reference = _agreeing(queries)
    linked_passages, _ = _agreeing(passages)
    if len(linked_passages) > 1 or len(passages) == 1:
        answers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for s in subsets:
            for key, grades in s.relevant.items():
                answers[query_labels[s.name]][key] |= set(grades)
        astray = {x for x in linked_queries if not _same_answers(answers[reference], answers[x])}
        linked_queries, linked_passages = linked_queries - astray, linked_passages - astray
    keys = Keys()
    for s in subsets:
        for language, label, ids, linked, names, groups in (
            (
                s.query_language, query_labels[s.name], s.queries, linked_queries,
                keys.queries, keys.query_groups,
            ),
            (
                s.passage_language, passage_labels[s.name], s.passages, linked_passages,
                keys.passages, keys.passage_groups,
            ),
        ):  # fmt: skip
            if label in linked and label == language:
                names.update({(s.name, key): key for key in ids})
            else:
                names.update({(s.name, key): f"{label}:{key}" for key in ids})
                groups.update({f"{label}:{key}": key for key in ids if label in linked})
    keys.notes = _linked_note("queries", queries, linked_queries)
    # where passages have ids of their own, the queries' answers in each language are enough
    if len(linked_passages) > 1 or len(linked_queries) < 2:
        keys.notes += _linked_note("passages", passages, linked_passages)
    return keys


def _linked_note(what: str, texts: Texts, linked: set[str]) -> list[str]:
    """Say which languages are linked by id."""
    if len(texts) < 2:
        return []
    alone = sorted(set(texts) - linked)
    if len(linked) < 2:
        return [f"{what} have no ids that mean translations, and are not linked by id"]
    rest = f"; not {', '.join(alone)}, whose ids do not mean translations" if alone else ""
    return [f"{what} of {len(linked)} languages are linked by id{rest}"]


def _labeled(
    sides: Sequence[tuple[str, dict[str, str]]], subsets: Sequence[Subset]
) -> tuple[Texts, dict[str, str]]:
    """Collect texts by language and id, and by subset where one id has two texts of a language.

    Args:
        sides: Language and texts of one side of each subset.
        subsets: The subsets.

    Returns:
        The texts by label, and the label of each subset: a language, or language and subset.
    """
    texts: Texts = defaultdict(dict)
    unclear = set()
    for language, found in sides:
        known = texts[language]
        if any(known.setdefault(key, text) != text for key, text in found.items()):
            unclear.add(language)
    labels = {
        s.name: f"{language} ({s.name})" if language in unclear else language
        for s, (language, _) in zip(subsets, sides, strict=True)
    }
    for s, (language, found) in zip(subsets, sides, strict=True):
        if language in unclear:
            texts.pop(language, None)
            texts[labels[s.name]] = found
    return texts, labels


def _agreeing(texts: Texts) -> tuple[set[str], str]:
    """Return the languages whose ids mean the same as in the largest, and the largest."""
    largest = min(texts, key=lambda x: (-len(texts[x]), x != "en", x))
    others = set(texts) - {largest}
    return {largest} | {x for x in others if _same_texts(texts[largest], texts[x])}, largest


def _same_texts(first: dict[str, str], second: dict[str, str]) -> bool:
    """Return whether ids that two languages share can mean translations."""
    shared = sorted(first.keys() & second.keys())
    if len(shared) < max(1, MIN_SHARED * min(len(first), len(second))):
        return False
    lengths = np.log(
        [[max(1, len(texts[key])) for key in shared[:MAX_TEXTS]] for texts in (first, second)]
    )
    if len(shared) < MIN_TEXTS or lengths.std(axis=1).min() < MIN_SPREAD:
        return True  # too little to tell
    return bool(np.corrcoef(lengths)[0, 1] >= MIN_CORRELATION)


def _same_answers(first: dict[str, set[str]], second: dict[str, set[str]]) -> bool:
    """Return whether queries of one id have an answer of one id in two languages."""
    shared = [key for key in first.keys() & second.keys() if first[key] and second[key]]
    common = sum(bool(first[key] & second[key]) for key in shared)
    return common >= MIN_COMMON_ANSWER * len(shared)


def link_by_text(subsets: Sequence[Subset]) -> Keys:
    """Link the queries and passages that stand in several subsets with one text.

    Queries of two languages are translations where they have the same answers in one language, and
    no other query of theirs has these answers.

    Args:
        subsets: The subsets.

    Returns:
        The keys.
    """
    keys = Keys()
    seen_queries, seen_passages = dict[tuple[str, str], str](), dict[tuple[str, str], str]()
    for s in subsets:
        for key, text in s.queries.items():
            name = seen_queries.setdefault((s.query_language, text), f"{s.name}:{key}")
            keys.queries[s.name, key] = name
        for key, (text, title) in s.passages.items():
            place = (s.passage_language, with_title(title, text))
            keys.passages[s.name, key] = seen_passages.setdefault(place, f"{s.name}:{key}")
    keys.query_groups = _translation_groups(subsets, keys)
    keys.notes = [
        f"subsets are linked by equal texts, and {len(keys.query_groups):,} of "
        f"{len(seen_queries):,} queries to their translations by equal answers"
    ]
    return keys


def _by_common_queries(subsets: Sequence[Subset], keys: Keys) -> dict[str, str]:
    """Group the passages that answer one query in several languages.

    A group with two passages of one language would not be one of translations, and is none.
    """
    queries, passages = dict[str, int](), dict[str, int]()
    languages = dict[str, str]()
    edges: list[tuple[int, int]] = []
    for s in subsets:
        for key, grades in s.relevant.items():
            query = queries.setdefault(keys.query(s.name, key), len(queries))
            for document in grades:
                passage = keys.passage(s.name, document)
                languages[passage] = s.passage_language
                edges.append((query, passages.setdefault(passage, len(passages))))
    left, right = np.array(edges, np.int64).reshape(-1, 2).T
    labels = connected_components(left, right, len(queries), len(passages))[len(queries) :]
    members: dict[int, list[str]] = defaultdict(list)
    for passage, row in passages.items():
        members[int(labels[row])].append(passage)
    return {
        passage: same[0]
        for same in members.values()
        if len({languages[x] for x in same}) == len(same)
        for passage in same
    }


def _translation_groups(subsets: Sequence[Subset], keys: Keys) -> dict[str, str]:
    """Group queries of different languages by their answers."""
    # for each language of passages and each set of answers: the queries of each language
    asked: dict[tuple[str, frozenset[str]], dict[str, set[str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for s in subsets:
        for key, grades in s.relevant.items():
            if grades:
                answers = frozenset(keys.passage(s.name, d) for d in grades)
                asked[s.passage_language, answers][s.query_language].add(keys.query(s.name, key))
    translations = [
        [name for names in by_language.values() for name in names]
        for by_language in asked.values()
        if len(by_language) > 1 and all(len(names) == 1 for names in by_language.values())
    ]
    names = sorted({name for group in translations for name in group})
    row = {name: i for i, name in enumerate(names)}
    left = [row[name] for group in translations for name in group]
    right = [i for i, group in enumerate(translations) for _ in group]
    labels = connected_components(
        np.array(left, np.int64), np.array(right, np.int64), len(names), len(translations)
    )
    first: dict[int, str] = {}
    return {name: first.setdefault(int(labels[row[name]]), name) for name in names}
