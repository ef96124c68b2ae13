"""Translations among the subsets of mteb's tasks.

mteb ranks each subset alone. In one pool of all subsets a right passage in another language would
count as wrong, unless translations are known. Each task that is named here publishes translations
with ids that its subsets share, or asks one text in several subsets. Ids are checked on the data
before they link anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixling.evaluation.mteb_id_links import link_by_id
from mixling.evaluation.mteb_row_links import link_by_row
from mixling.evaluation.mteb_subset import Keys, Subset
from mixling.evaluation.mteb_text_links import (
    group_by_common_queries,
    group_equal_passages,
    link_by_text,
)

# Translations of a query, a passage or both have one id in all subsets.
SHARED_IDS = {
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
# Ids count the rows of each language's file: load_data numbers links and questions.
ROW_NUMBERS = {"BelebeleRetrieval"}
# Whole passages are translations, and have ids of their own. A query that a language lacks, because
# its text stands there under another id, is answered by the translations of its passage.
PARALLEL_PASSAGES = {"XQuADRetrieval"}
# Some passages of a language have one text and several ids (by descriptive_stats), and are one
# passage in a pool: each has the translations of all.
REPEATED_PASSAGES = {"EuroPIRQRetrieval"}
# Translations that nothing identifies: each language counts its own ids, no text is shared.
UNKNOWN_TRANSLATIONS = {"MintakaRetrieval", "PublicHealthQA"}


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
    if task in ROW_NUMBERS:
        return link_by_row(subsets)
    if task in SHARED_IDS:
        keys = link_by_id(subsets)
        if task in PARALLEL_PASSAGES and not _names_are_shared(subsets, keys):
            keys.passage_groups = group_by_common_queries(subsets, keys)
            keys.notes.append("passages are linked by the queries that they answer")
        if task in REPEATED_PASSAGES:
            keys.passage_groups = group_equal_passages(subsets, keys)
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


def _names_are_shared(subsets: Sequence[Subset], keys: Keys) -> bool:
    """Return whether passages of several languages have one key."""
    named = {(s.passage_language, keys.passage(s.name, key)) for s in subsets for key in s.passages}
    return len({name for _, name in named}) < len(named)
