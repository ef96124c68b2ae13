"""Languages of the queries and passages of mteb's subsets.

mteb names the languages of a subset, but not always the side of each. Some tasks write the language
of the passages first. Where both languages have scripts of their own, the texts decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from mixling.corpora.languages import base_language, language_script, language_tag
from mixling.evaluation.mteb_subset import Subset
from mixling.models.identify import count_letters

PROGRAMS = "zxx"  # BCP-47: no natural language
SAMPLE, CHARACTERS = 100, 500  # texts of each side, and of each text, whose script is counted
# The order of the two languages in a subset's name and metadata, by the code that made the subsets:
PASSAGES_FIRST = {
    "BelebeleRetrieval",  # load_data: lang_corpus, lang_question = languages[0], languages[1]
    "MLQARetrieval",  # mteb 1.x: "corpus is in lang XX and queries in lang YY", mlqa.<XX>.<YY>
    "XPQARetrieval",  # mteb 1.x: lang_corpus, lang_question = lang_pair.split("-")
}
QUERIES_FIRST = {
    "CUREv1",  # load_data: queries-<subset>, one corpus in English
    "CrossLingualSemanticDiscriminationWMT19",  # as WMT21, by the same publisher
    "CrossLingualSemanticDiscriminationWMT21",  # load_data: queries are "Source", corpus "Target"
}


def natural_tags(codes: Sequence[str]) -> list[str]:
    """Return the tags of mteb's language codes, each once and in their order.

    Programming languages (`python-Code`) do not count beside natural ones: a task that asks for
    programs in English is an English task.

    Args:
        codes: Codes of languages and scripts, `deu-Latn`.

    Returns:
        The BCP-47 tags; `zxx` where there are programs alone.
    """
    tags = [language_tag(code) for code in codes if not code.endswith("-Code")]
    return list(dict.fromkeys(tags)) or [PROGRAMS]


def subset_languages(
    task: str, codes: Sequence[str], queries: Sequence[str], passages: Sequence[str]
) -> tuple[str, str, list[str]]:
    """Find the languages of a subset's queries and passages.

    Args:
        task: The task's name in mteb.
        codes: Codes of the subset's languages in the task's metadata.
        queries: Texts of some queries.
        passages: Texts of some passages.

    Returns:
        The tags of the queries and of the passages, and notes about what is not certain.
    """
    tags, notes = natural_tags(codes), []
    # three codes are three names of one language: nor, nno and nob
    if len(tags) != 2 or len(codes) != 2:
        tag = _written_tag(tags[0], [*queries, *passages])
        sides = [("queries", queries), ("passages", passages)]
        notes += [
            f"{what} are hardly written in the script of '{tag}', their language in mteb's metadata"
            for what, texts in sides
            if texts and tag != PROGRAMS and 0 <= _share(texts, tag) < 0.1
        ]
        return tag, tag, notes
    query, passage = tags[::-1] if task in PASSAGES_FIRST else tags
    straight = _share(queries, query) + _share(passages, passage)
    swapped = _share(queries, passage) + _share(passages, query)
    if swapped > straight + 0.5:
        query, passage = passage, query
        if task in PASSAGES_FIRST | QUERIES_FIRST:
            notes.append(f"the scripts of the texts say that the queries are '{query}'")
    elif straight <= swapped + 0.5 and task not in PASSAGES_FIRST | QUERIES_FIRST:
        notes.append(
            f"mteb does not say which side is '{query}' and which '{passage}', and the texts' "
            f"scripts do not tell; the queries count as '{query}'"
        )
    return _written_tag(query, queries), _written_tag(passage, passages), notes


def subset_notes(metadata: Any, subset: Subset, codes: Sequence[str]) -> tuple[Subset, list[str]]:
    """Give a subset the languages of its sides.

    Args:
        metadata: The task's metadata in mteb.
        subset: The subset, without languages.
        codes: Codes of its languages.

    Returns:
        The subset with languages, and notes about what is not certain.
    """
    queries = list(islice(subset.queries.values(), SAMPLE))
    passages = [text for text, _ in islice(subset.passages.values(), SAMPLE)]
    query, passage, notes = subset_languages(metadata.name, codes, queries, passages)
    subset.query_language, subset.passage_language = query, passage
    return subset, [f"subset '{subset.name}': {note}" for note in notes]


def _written_tag(tag: str, texts: Sequence[str]) -> str:
    """Return the tag without its script where the texts are in the language's usual script.

    mteb has `jpn-Hira` for Japanese in all its scripts, `ell-Latn` for Greek in Greek letters.
    """
    language = base_language(tag) if tag != PROGRAMS else tag
    if language == tag or language_script(language) == language_script(tag):
        return tag
    return language if _share(texts, language) > _share(texts, tag) else tag


def _share(texts: Sequence[str], tag: str) -> float:
    """Return the share of the script of a language among the letters; -1 without letters."""
    text = " ".join(text[:CHARACTERS] for text in texts)
    letters = sum(map(str.isalpha, text))
    return count_letters(text, language_script(tag)) / letters if letters else -1.0
