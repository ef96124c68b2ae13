"""Judgments of mteb's tasks that are published wrong, and what the other subsets say of them.

The German queries of MLQA's Arabic passages are linked to other passages than those that answer
them: the ids of these judgments are those of another run (mteb issue 5585; a repair is proposed at
https://huggingface.co/datasets/mteb/MLQARetrieval/discussions/1). Where the other subsets leave one
answer, it is known: of the 207 queries of the validation split 205 are, all of them rightly, by
MLQA's own files.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixling.evaluation.mteb_subset import Subset

# Subsets by task, with the report of their fault. They are read as published once they are mended.
DOUBTED = {"MLQARetrieval": {"ara-deu": "mteb issue 5585"}}
MIN_AGREEMENT = 0.5  # share of the queries whose published answer is the known one

Passage = tuple[str, str]  # title and text


def mend_judgments(task: str, subsets: Sequence[Subset]) -> list[str]:
    """Replace the judgments of a doubted subset where the other subsets contradict them.

    Args:
        task: The task's name in mteb.
        subsets: Its subsets with their languages; the judgments of some may be changed.

    Returns:
        Notes about what was replaced.
    """
    notes = []
    for subset in subsets:
        report = DOUBTED.get(task, {}).get(subset.name)
        if report is None:
            continue
        known = _known_answers(subset, subsets)
        right = sum(document in subset.relevant.get(key, {}) for key, document in known.items())
        place = f"subset '{subset.name}': its published judgments"
        if not known:
            notes.append(
                f"{place} are doubted ({report}), and no other subset tells the right ones"
            )
        elif right < MIN_AGREEMENT * len(known):
            lost = len(subset.queries) - len(known)
            subset.relevant = {key: {document: 1} for key, document in known.items()}
            notes.append(
                f"{place} are wrong ({report}); {len(known):,} are taken from the other subsets, "
                f"and {lost:,} queries have no answer there"
            )
    return notes


def _known_answers(subset: Subset, subsets: Sequence[Subset]) -> dict[str, str]:
    """Return the passage of each query of a subset that answers it, where others leave only one.

    A German query has a German passage, which also answers Arabic queries, among them the query's
    translation. If all of these have one Arabic passage, it answers the German query.
    """
    asked, found = subset.query_language, subset.passage_language
    by_sides = {
        (s.query_language, s.passage_language): _answers(s) for s in subsets if s is not subset
    }
    same_language = by_sides.get((asked, asked), {})
    translations: dict[Passage, set[str]] = {}
    for query, passages in by_sides.get((found, asked), {}).items():
        for passage in passages:
            translations.setdefault(passage, set()).add(query)
    own = by_sides.get((found, found), {})
    ids = {(title or "", text): key for key, (text, title) in subset.passages.items()}
    known = {}
    for key, text in subset.queries.items():
        others = {q for p in same_language.get(text, ()) for q in translations.get(p, ())}
        answers = {passage for query in others for passage in own.get(query, ())}
        if len(answers) == 1 and answers <= ids.keys():
            known[key] = ids[answers.pop()]
    return known


def _answers(subset: Subset) -> dict[str, set[Passage]]:
    """Return the passages that answer each query, as texts."""
    return {
        subset.queries[key]: {
            (title or "", text) for text, title in map(subset.passages.__getitem__, grades)
        }
        for key, grades in subset.relevant.items()
    }
