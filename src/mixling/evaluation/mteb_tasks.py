"""Retrieval tasks of mteb (2.x) by name, their subsets in one pool.

A task is read as mteb reads it: its evaluation splits, its titles, its instructions behind queries,
and without the passages that are the query itself where mteb ignores them. Tasks that rank given
candidates, or images and sounds, are refused before their data is fetched.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mixling.corpora.corpus import CorpusBuilder
from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError, not_installed
from mixling.evaluation.mteb_judgments import mend_judgments
from mixling.evaluation.mteb_languages import natural_tags, subset_notes
from mixling.evaluation.mteb_links import link_subsets
from mixling.evaluation.mteb_subset import Keys, Subset, read_subset
from mixling.evaluation.tasks import Task, task_from_corpus

logger = logging.getLogger(__name__)

SPLITS = ("test", "all", "dev", "validation")  # by preference, where a task has several
CANDIDATES = (
    "ranks given candidates for each query instead of a collection, so Mixling cannot measure "
    "it. Choose a task of type Retrieval."
)

Identity = tuple[str, str, str]  # language, title and text of a passage


def mteb_task(name: str) -> Task:
    """Load a retrieval task of mteb.

    Args:
        name: Name of the task in mteb, with a split (`MLQARetrieval:validation`) and languages or
            subsets (`MLQARetrieval@de,en`) on request. With languages, the subsets of these alone
            are loaded.

    Returns:
        The task.

    Raises:
        MixlingError: mteb is not installed, has no such task, or cannot load it; or it is no
            retrieval in texts.
    """
    try:
        import mteb
    except ImportError:
        raise not_installed("mteb", "benchmarks") from None
    name_and_split, _, wanted = name.partition("@")
    task_name, _, split = name_and_split.partition(":")
    try:
        task = mteb.get_task(task_name)
    except KeyError as error:
        hint = str(error.args[0]).removeprefix("KeyError: ")
        raise MixlingError(f"mteb has no task '{task_name}'. {hint}") from None
    _check_kind(task)
    split = _choose_split(task.metadata, split)
    subsets = _choose_subsets(task.metadata, [x for x in wanted.split(",") if x])
    try:
        source = mteb.get_task(task_name, eval_splits=[split], hf_subsets=subsets)
        source.load_data()
    except Exception as error:
        reason = (str(error).splitlines() or ["no message"])[0]
        raise MixlingError(
            f"mteb task '{task_name}' cannot be loaded ({type(error).__name__}: {reason}). Its "
            "data comes from the hub: run once with a network (and `hf auth login`, if its "
            "publisher asks for it), or set HF_HOME to a copy of the hub's cache."
        ) from None
    return read_mteb(source, split, name)


def read_mteb(source: Any, split: str | None = None, name: str | None = None) -> Task:
    """Convert a loaded retrieval task of mteb.

    Args:
        source: The task, as `mteb.get_task` returns it, with its data loaded.
        split: The split; None chooses as `mteb_task` does among those that are loaded.
        name: Name in results after `mteb:`, by default the task's.

    Returns:
        The task.

    Raises:
        MixlingError: A row cannot be used, or there is nothing to measure.
    """
    metadata = source.metadata
    if hasattr(source, "convert_v1_dataset_format_to_v2"):
        source.convert_v1_dataset_format_to_v2(None)
    languages = _languages_of_subsets(metadata)
    chosen = getattr(source, "hf_subsets", None) or list(languages)
    if split is None:
        splits = list(dict.fromkeys(s for parts in source.dataset.values() for s in parts))
        split = _preferred_split(metadata.name, splits)
    subsets, notes = list[Subset](), list[str]()
    for subset_name in [x for x in source.dataset if x in chosen]:
        data = source.dataset[subset_name].get(split)
        if data is None:
            notes.append(f"subset '{subset_name}' is left out, because it has no split '{split}'")
            continue
        own_passages = bool(getattr(source, "ignore_identical_ids", False))
        subset = read_subset(metadata.name, subset_name, data, own_passages)
        _check_candidates(metadata.name, subset, data.get("top_ranked"))
        subset, uncertain = subset_notes(metadata, subset, languages[subset_name])
        subsets.append(subset)
        notes += uncertain
    notes += mend_judgments(metadata.name, subsets)
    keys = link_subsets(metadata.name, subsets)
    other = [s for s in getattr(metadata, "eval_splits", []) if s != split]
    if other and ":" not in (name or ""):
        notes.append(f"the split is '{split}'; mteb also has {', '.join(other)}")
    task = _pool(f"mteb:{name or metadata.name}", subsets, keys)
    notes = [*notes, *keys.notes]
    if notes:
        more = f" ({len(notes) - 1} more notes in the result)" if len(notes) > 1 else ""
        logger.warning("%s: %s%s", task.name, notes[0], more)
    return replace(task, notes=tuple(notes), origin=_origin(metadata))


def _origin(metadata: Any) -> dict[str, str]:
    """Return the data set of the hub and its revision, as far as the task names them."""
    source = getattr(metadata, "dataset", None) or {}
    path, revision = source.get("path"), source.get("revision")
    return {f"hub:{path}": str(revision)} if path and revision else {}


def _check_kind(task: Any) -> None:
    """Refuse a task that is not retrieval in texts."""
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.aggregated_task import AbsTaskAggregate

    metadata = task.metadata
    reason = None
    if isinstance(task, AbsTaskAggregate):
        parts = [part.metadata.name for part in task.tasks]
        reason = f"is a group of {len(parts)} tasks. Name its tasks: mteb:{parts[0]}, …"
    elif not isinstance(task, AbsTaskRetrieval):
        reason = f"is a task of {metadata.type}. Expected a task of retrieval."
    elif list(metadata.modalities) != ["text"]:
        reason = f"has {' and '.join(metadata.modalities)}, but Mixling reads texts only."
    elif metadata.type in ("Reranking", "InstructionReranking"):
        reason = CANDIDATES
    if reason is not None:
        raise MixlingError(f"mteb task '{metadata.name}' {reason}")


def _check_candidates(task: str, subset: Subset, candidates: Mapping[str, Any] | None) -> None:
    """Refuse a subset whose queries may find a part of the collection only."""
    if any(not subset.passages.keys() <= set(found) for found in (candidates or {}).values()):
        raise MixlingError(f"mteb task '{task}' (subset '{subset.name}') {CANDIDATES}")


def _choose_split(metadata: Any, split: str) -> str:
    """Return the split that the user named, else the preferred one."""
    if split and split not in metadata.eval_splits:
        raise MixlingError(
            f"mteb task '{metadata.name}' has no split '{split}'. Its splits are: "
            f"{', '.join(metadata.eval_splits)}"
        )
    return split or _preferred_split(metadata.name, list(metadata.eval_splits))


def _preferred_split(task: str, splits: Sequence[str]) -> str:
    """Return test, all, dev or validation, or the only split."""
    preferred = next((s for s in SPLITS if s in splits), None)
    if preferred is None and len(splits) != 1:
        raise MixlingError(
            f"mteb task '{task}' has the splits {', '.join(splits)}, and none of "
            f"{', '.join(SPLITS)}. Name one, for instance "
            f"mteb:{task}:{splits[0] if splits else 'test'}"
        )
    return preferred or splits[0]


def _languages_of_subsets(metadata: Any) -> dict[str, list[str]]:
    """Return the codes of the languages of each subset."""
    languages = metadata.eval_langs
    return languages if isinstance(languages, dict) else {"default": languages}


def _choose_subsets(metadata: Any, wanted: Sequence[str]) -> list[str]:
    """Return the subsets that the user named, or those in the named languages alone."""
    languages = _languages_of_subsets(metadata)
    named = [x for x in wanted if x in languages]
    tags = {language_tag(x) for x in wanted if x not in languages}
    chosen = [
        subset
        for subset, codes in languages.items()
        if not wanted or subset in named or set(natural_tags(codes)[:2]) <= tags
    ]
    absent = tags - {tag for codes in languages.values() for tag in natural_tags(codes)}
    if absent or not chosen:
        names = ", ".join([*list(languages)[:20], *(["…"] if len(languages) > 20 else [])])
        raise MixlingError(
            f"mteb task '{metadata.name}' has no subset in {', '.join(sorted(absent or tags))}. "
            f"Its subsets are: {names}"
        )
    return chosen


def _pool(name: str, subsets: Sequence[Subset], keys: Keys) -> Task:
    """Make a task of all subsets, with the links that the keys give."""
    builder = CorpusBuilder(name)
    rows: dict[str, dict[int, None]] = {}
    grades: dict[tuple[str, str], int] = {}
    for s in subsets:
        for key, (text, title) in s.passages.items():
            passage = keys.passage(s.name, key)
            group = keys.passage_groups.get(passage, passage)
            row = builder.add_passage(passage, text, s.passage_language, group, title)
            rows.setdefault(group, {})[row] = None
    for s in subsets:
        for key, text in s.queries.items():
            query = keys.query(s.name, key)
            group = keys.query_groups.get(query, query)
            builder.add_query(query, text, s.query_language, group)
            for document, grade in s.relevant.get(key, {}).items():
                passage = keys.passage(s.name, document)
                link = (group, keys.passage_groups.get(passage, passage))
                grades[link] = max(grade, grades.get(link, 0))
    for (group, passage_group), grade in grades.items():
        for row in rows[passage_group]:
            builder.add_link(group, row, grade=grade)
    corpus = builder.build(bad for s in subsets for bad in s.bad_rows)
    task = task_from_corpus(corpus, name=name)
    return _without_own_passages(task, _own_passages(subsets, keys))


def _own_passages(subsets: Sequence[Subset], keys: Keys) -> dict[str, Identity]:
    """Return the passage that is a query itself, by the query's id in a task.

    It has the query's id where mteb ignores such passages, or its text in another subset: what is
    asked in German in one subset is found in German in another one.
    """
    own: dict[str, Identity] = {}
    published = set[str]()  # queries whose text is a passage of their own subset
    passages = [
        {(s.passage_language, title or "", text) for text, title in s.passages.values()}
        for s in (subsets if keys.queries else [])
    ]
    pool = set[Identity]().union(*passages)
    for s, of_subset in zip(subsets, passages, strict=False):
        for key, text in s.queries.items():
            query, itself = _query_id(s, keys, key), (s.query_language, "", text)
            if itself in of_subset:
                published.add(query)
            elif itself in pool:
                own[query] = itself
    own = {query: itself for query, itself in own.items() if query not in published}
    for s in subsets:
        for key in s.queries.keys() & s.passages.keys() if s.own_passages else ():
            text, title = s.passages[key]
            own[_query_id(s, keys, key)] = (s.passage_language, title or "", text)
    return own


def _query_id(subset: Subset, keys: Keys, key: str) -> str:
    """Return the id of a subset's query in a task."""
    return f"{subset.query_language}:{keys.query(subset.name, key)}"


def _without_own_passages(task: Task, own: Mapping[str, Identity]) -> Task:
    """Leave each query's own passage out of its ranking, unless it is an answer."""
    if not own:
        return task
    tags = [task.languages[code] for code in task.passage_language]
    row = {
        identity: i for i, identity in enumerate(zip(tags, task.titles, task.passages, strict=True))
    }
    excluded = np.array(
        [row.get(own[query], -1) if query in own else -1 for query in task.query_ids], np.int64
    )
    relevant = task.relevant[excluded[task.relevant[:, 0]] == task.relevant[:, 1], 0]
    excluded[relevant] = -1
    return replace(task, excluded=excluded) if (excluded >= 0).any() else task
