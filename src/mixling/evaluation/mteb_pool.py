"""Parallel benchmarks as tasks of mteb that rank the passages of all languages together.

mteb ranks each subset of a parallel benchmark alone. The tasks here make one corpus of the
documents of all languages. Each query looks for the answer in its own language and for all
translations of it. A subset is one query language, and all subsets have the same corpus, so that
mteb's mean over subsets is the mean over query languages.

The file needs mteb and nothing of Mixling, so that its classes can be proposed there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.tasks.retrieval.multilingual import (
    BelebeleRetrieval,
    EuroPIRQRetrieval,
    MLQARetrieval,
    MuPLeRRetrieval,
    XQuADRetrieval,
)

Document = tuple[str, str, str]  # language, title and text
Answers = dict[str, dict[Document, int]]  # grades by the documents' language and document


def pool_metadata(
    source: TaskMetadata, name: str, languages: Sequence[str] | None = None
) -> TaskMetadata:
    """Derive the metadata of a pool from those of the parallel task.

    Args:
        source: The metadata of the parallel task.
        name: The name of the pool.
        languages: Codes of the pool's languages (`deu-Latn`), by default all of the source.

    Returns:
        The metadata, with a subset for each query language.
    """
    codes = [code for codes in source.hf_subsets_to_langscripts.values() for code in codes]
    chosen = list(dict.fromkeys(codes)) if languages is None else list(languages)
    return source.model_copy(
        update={
            "name": name,
            "description": f"The documents of {source.name} in {len(chosen)} languages as one "
            "corpus. A query is answered by its document and by all translations of this document, "
            f"whatever its own language. {source.description}",
            "eval_langs": {code: [code] for code in chosen},
            "adapted_from": [source.name],
        }
    )


class MultilingualPoolRetrieval(AbsTaskRetrieval):
    """The base class of retrieval in the documents of all languages of a parallel task.

    Translations of a query are known by a common id, or a query stands in several subsets with one
    text. Then its documents in these subsets are translations, if documents are parallel.

    Documents with one text in one language count once. The corpus does not depend on the subsets
    that are evaluated, and a model encodes it for each of them:
    `mteb.models.CachedEmbeddingWrapper` encodes each text once.

    Attributes:
        source: The class of the parallel task.
        shared_ids: Whether a text and its translations have one id in all subsets. If not, queries
            of one language are the same if their texts are equal.
        parallel_documents: Whether the documents that answer one query are translations as wholes,
            and answer the other queries of each of them too.
        documents_first: Whether the metadata name the documents' language before the queries'.
    """

    source: ClassVar[type[AbsTaskRetrieval]]
    shared_ids: ClassVar[bool] = True
    parallel_documents: ClassVar[bool] = True
    documents_first: ClassVar[bool] = True

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Load the subsets of the parallel task and join them.

        Args:
            num_proc: Number of processes.
            kwargs: Passed to the parallel task.
        """
        if self.data_loaded:
            return
        source = self.source()
        languages = set(self.metadata.eval_langs)
        source.hf_subsets = [
            subset
            for subset, codes in source.metadata.hf_subsets_to_langscripts.items()
            if set(codes) <= languages
        ]
        source.filter_eval_splits(self.eval_splits)
        source.load_data(num_proc=num_proc, **kwargs)
        source.convert_v1_dataset_format_to_v2(num_proc)
        self.dataset = {language: {} for language in self.metadata.hf_subsets}
        for split in self.eval_splits:
            subsets = {name: splits[split] for name, splits in source.dataset.items()}
            for language, data in self._pool(subsets).items():
                self.dataset[language][split] = data
        self.dataset_transform(num_proc=num_proc)
        self.data_loaded = True

    def languages_of(self, subset: str) -> tuple[str, str]:
        """Return the languages of the queries and of the documents of a parallel task's subset."""
        codes = self.source.metadata.hf_subsets_to_langscripts[subset]
        first, last = codes[0], codes[-1]
        return (last, first) if self.documents_first else (first, last)

    def judgments_of(
        self, subset: str, subsets: Mapping[str, Any]
    ) -> Mapping[str, Mapping[str, int]]:
        """Return the relevance of a parallel task's subset, which a subclass may correct."""
        relevant: Mapping[str, Mapping[str, int]] = subsets[subset]["relevant_docs"]
        return relevant

    def _pool(self, subsets: Mapping[str, Any]) -> dict[str, Any]:
        """Join the subsets of a split.

        Args:
            subsets: The split of each subset.

        Returns:
            The data of each query language.
        """
        documents: dict[Document, str] = {}
        queries: dict[tuple[str, str], tuple[str, str, Hashable]] = {}
        answers: dict[Hashable, Answers] = defaultdict(lambda: defaultdict(dict))
        groups = _Groups()
        for subset, data in subsets.items():
            query_language, document_language = self.languages_of(subset)
            found: dict[str, Document] = {}
            for row in data["corpus"]:
                document = (document_language, row.get("title") or "", row["text"])
                found[row["id"]] = document
                documents.setdefault(document, f"{subset}:{row['id']}")
                if self.shared_ids:
                    groups.join([document, row["id"]])
            relevant = self.judgments_of(subset, subsets)
            for row in data["queries"]:
                key = row["id"] if self.shared_ids else row["text"]
                group = key if self.shared_ids else (query_language, key)
                queries.setdefault(
                    (query_language, key), (f"{subset}:{row['id']}", row["text"], group)
                )
                grades = answers[group][document_language]
                for identifier, grade in relevant.get(row["id"], {}).items():
                    if grade > 0 and identifier in found:
                        document = found[identifier]
                        grades[document] = max(grade, grades.get(document, 0))
        if self.parallel_documents:
            for by_language in answers.values():
                # a query with two answers in a language does not tell which is whose translation
                if all(len(grades) < 2 for grades in by_language.values()):
                    groups.join(d for grades in by_language.values() for d in grades)
        corpus = Dataset.from_list(
            [
                {"id": identifier, "title": title, "text": text}
                for (_, title, text), identifier in documents.items()
            ]
        )
        relevance = _relevance(documents, answers, groups)
        data = {}
        for language in self.metadata.hf_subsets:
            asked = [x for (spoken, _), x in queries.items() if spoken == language]
            data[language] = {
                "corpus": corpus,
                "queries": Dataset.from_list([{"id": i, "text": text} for i, text, _ in asked]),
                "relevant_docs": {identifier: relevance[group] for identifier, _, group in asked},
                "top_ranked": None,
            }
        return data

    def _calculate_descriptive_statistics_from_split(
        self,
        split: str,
        *,
        hf_subset: str | None = None,
        compute_overall: bool = False,
        num_proc: int | None = None,
    ) -> Any:
        """Count the corpus, which all subsets share, once in the statistics of the whole."""
        if not compute_overall:
            return super()._calculate_descriptive_statistics_from_split(
                split, hf_subset=hf_subset, num_proc=num_proc
            )
        parts = [splits[split] for splits in self.dataset.values()]
        whole = copy(self)
        rows = [row for part in parts for row in part["queries"]]
        relevant = {key: found for part in parts for key, found in part["relevant_docs"].items()}
        pool: Any = {
            **parts[0],
            "queries": Dataset.from_list(rows),
            "relevant_docs": relevant,
        }
        whole.dataset = {"pool": {split: pool}}
        return super(MultilingualPoolRetrieval, whole)._calculate_descriptive_statistics_from_split(
            split, hf_subset="pool", num_proc=num_proc
        )


class _Groups:
    """Disjoint sets of things, each with one of them as its name."""

    def __init__(self) -> None:
        self.parent: dict[Hashable, Hashable] = {}

    def find(self, thing: Hashable) -> Hashable:
        """Return the name of a thing's set."""
        while (parent := self.parent.setdefault(thing, thing)) != thing:
            self.parent[thing] = thing = self.parent[parent]
        return thing

    def join(self, things: Iterable[Hashable]) -> None:
        """Make one set of those of some things."""
        names = [self.find(thing) for thing in things]
        for name in names[1:]:
            self.parent[self.find(name)] = self.find(names[0])

    def members(self, things: Iterable[Document]) -> dict[Hashable, list[Document]]:
        """Return the things of each set, by its name."""
        found: dict[Hashable, list[Document]] = defaultdict(list)
        for thing in things:
            found[self.find(thing)].append(thing)
        return found


def _relevance(
    documents: Mapping[Document, str], answers: Mapping[Hashable, Answers], groups: _Groups
) -> dict[Hashable, dict[str, int]]:
    """Return the relevant documents of each query group: its answers and their translations.

    Groups with the same answers have one object, because Belebele has 13 million pairs.
    """
    members = groups.members(documents)
    shared: dict[frozenset[tuple[Hashable, int]], dict[str, int]] = {}
    relevance = {}
    for group, by_language in answers.items():
        best: dict[Hashable, int] = {}
        for grades in by_language.values():
            for document, grade in grades.items():
                name = groups.find(document)
                best[name] = max(grade, best.get(name, 0))
        key = frozenset(best.items())
        if key not in shared:
            shared[key] = {documents[d]: best[name] for name in best for d in members[name]}
        relevance[group] = shared[key]
    return relevance


class BelebelePoolRetrieval(MultilingualPoolRetrieval):
    """Belebele's passages in 122 language variants; its ids count rows of a language."""

    metadata = pool_metadata(BelebeleRetrieval.metadata, "BelebelePoolRetrieval")
    source = BelebeleRetrieval
    shared_ids = False


class EuroPIRQPoolRetrieval(MultilingualPoolRetrieval):
    """EuroPIRQ's passages in English, Finnish and Portuguese."""

    metadata = pool_metadata(EuroPIRQRetrieval.metadata, "EuroPIRQPoolRetrieval")
    source = EuroPIRQRetrieval


class MuPLeRPoolRetrieval(MultilingualPoolRetrieval):
    """MuPLeR's passages in 14 languages."""

    metadata = pool_metadata(MuPLeRRetrieval.metadata, "MuPLeRPoolRetrieval")
    source = MuPLeRRetrieval


class XQuADPoolRetrieval(MultilingualPoolRetrieval):
    """XQuAD's paragraphs in 12 languages."""

    metadata = pool_metadata(XQuADRetrieval.metadata, "XQuADPoolRetrieval")
    source = XQuADRetrieval


class MLQAPoolRetrieval(MultilingualPoolRetrieval):
    """MLQA's paragraphs in 7 languages, of which only the sentence with the answer is parallel.

    The relevance of `ara-deu` is published wrong (issue 5585). What the other subsets say of its
    queries replaces it, unless it agrees with them.
    """

    metadata = pool_metadata(MLQARetrieval.metadata, "MLQAPoolRetrieval")
    source = MLQARetrieval
    shared_ids = False
    parallel_documents = False

    def judgments_of(
        self, subset: str, subsets: Mapping[str, Any]
    ) -> Mapping[str, Mapping[str, int]]:
        """Return the relevance of a subset, that of `ara-deu` by the other subsets."""
        published = super().judgments_of(subset, subsets)
        if subset != "ara-deu" or not {"deu-deu", "deu-ara", "ara-ara"} <= subsets.keys():
            return published
        # a German question has a German context, which Arabic questions ask about too, and these
        # have Arabic contexts: the only one, if there is only one, is that of the question
        own, other, answer = (
            _answers_by_text(subsets[name]) for name in ("deu-deu", "deu-ara", "ara-ara")
        )
        asked: dict[str, set[str]] = defaultdict(set)
        for question, contexts in other.items():
            for context in contexts:
                asked[context].add(question)
        ids = {row["text"]: row["id"] for row in subsets[subset]["corpus"]}
        known = {}
        for row in subsets[subset]["queries"]:
            questions = {q for context in own[row["text"]] for q in asked[context]}
            contexts = {context for q in questions for context in answer[q]}
            if len(contexts) == 1 and contexts <= ids.keys():
                known[row["id"]] = {ids[contexts.pop()]: 1}
        agree = sum(bool(found.keys() & published.get(key, {})) for key, found in known.items())
        return published if 2 * agree >= len(known) else known


def _answers_by_text(data: Any) -> dict[str, set[str]]:
    """Return the texts that answer each query's text in a subset."""
    queries = dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    texts = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
    found: dict[str, set[str]] = defaultdict(set)
    for query, documents in data["relevant_docs"].items():
        found[queries[query]] |= {texts[document] for document in documents}
    return found
