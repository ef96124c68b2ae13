"""Collections that have topics, qrels and a corpus for each language.

The split `dev` has the judged passages alone, `dev-full` the whole collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages
from mixling.errors import MixlingError, Skipped


def choose_pools(
    name: str, pools: Mapping[str, tuple[str, str]], languages: Languages
) -> list[str]:
    """Choose the pools of passages that some languages need.

    Args:
        name: The source, for the error.
        pools: Language of the queries and of the passages of each pool.
        languages: The languages that are asked for, those of the queries among them; None: all.

    Returns:
        The names of the pools.

    Raises:
        MixlingError: The languages leave no passages, or no queries for them.
    """
    if languages is None:
        return list(pools)
    chosen = [k for k, (asked, found) in pools.items() if found in languages and asked in languages]
    if not chosen:
        asked, found = (", ".join(sorted({pair[i] for pair in pools.values()})) for i in (0, 1))
        both = "one of them is needed" if asked == found else "both are needed"
        raise MixlingError(
            f"{name}: no data is left in the languages {', '.join(languages)}. Its queries are "
            f"in {asked}, and its passages in {found}; {both}."
        )
    return chosen


@dataclass(frozen=True)
class Collection:
    """The files of a collection, as published.

    Args:
        name: The name of the source.
        languages: Language of the queries and of the passages, by the text that stands for
            {language} in the patterns. {code} stands for the language of the passages.
        topics: The files of the topics, with {language} and {split}.
        qrels: The files of the judgments, with {language} and {split}.
        corpus: The files of the documents, with {language}.
        absent: Passage languages that a split lacks, by split.
        topics_of: The split whose topics a split has, where it has none of its own.
        n_files: How many files of documents a language has, where they are several.
    """

    name: str
    languages: dict[str, tuple[str, str]]
    topics: str
    qrels: str
    corpus: str
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    topics_of: Mapping[str, str] = field(default_factory=dict)
    n_files: Mapping[str, int] = field(default_factory=dict)

    def judged_files(self, split: str, languages: Languages) -> list[Files]:
        """Return the files of topics and judgments that a split and some languages need."""
        return [
            Files(pattern, fields)
            for key in self._keys(split, languages)
            for pattern, fields in zip(
                self._patterns(key, split)[:2], (("0", "1"), ("0", "1", "2", "3")), strict=True
            )
        ]

    def corpus_files(self, split: str, languages: Languages) -> list[Files]:
        """Return the files of documents that a split and some languages need."""
        return [
            Files(self._patterns(key, split)[2], ("docid", "text"))
            for key in self._keys(split, languages)
        ]

    def read(self, folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        """Read a split.

        Args:
            folder: The folder.
            split: The split.
            languages: The languages; None: all that the folder has.
            skip_bad: Skip rows that cannot be used.

        Returns:
            The corpus. Its `skipped` also lists judged queries without a topic, and relevant
            documents that the collection lacks.

        Raises:
            MixlingError: A file is missing or cannot be read.
            BadRowError: A row cannot be used, and `skip_bad` is False.
        """
        builder, skipped = CorpusBuilder(self.name), Skipped(skip_bad)
        left_out: list[MixlingError] = []
        for key in self._keys(split, languages):
            query_language, passage_language = self.languages[key]
            patterns = self._patterns(key, split)
            topics, qrels, corpus = (find_published(folder, pattern) for pattern in patterns)
            if not topics and languages is None:
                continue
            for files, pattern in zip((topics, qrels, corpus), patterns, strict=True):
                if not files:
                    raise MixlingError(
                        f"{folder}: the file {pattern} is missing. Fetch the data set again."
                    )
            if len(corpus) < self.n_files.get(key, 1):
                raise MixlingError(
                    f"{folder}: the folder has {len(corpus)} of the {self.n_files[key]} files "
                    f"{patterns[2]}. Fetch the data set again."
                )
            judgments = trec.read_qrels(qrels[0], skipped)
            only = None if split.endswith("-full") else {document for _, document in judgments}
            left_out += trec.add_judged(
                builder,
                trec.read_topics(topics[0], skipped),
                judgments,
                trec.read_documents(corpus, skipped, passage_language, only),
                query_language,
                qrels[0],
                passage_language,
                distinct_ids=query_language != passage_language,
            )
        if not builder.queries:
            pattern = self._patterns("<language>", split)[0]
            raise MixlingError(
                f"{folder}: no file is named like {pattern}. Fetch the data set again."
            )
        return builder.build([*skipped.rows, *left_out])

    def _patterns(self, key: str, split: str) -> tuple[str, str, str]:
        """Return the patterns of topics, judgments and documents of a language."""
        base = split.removesuffix("-full")
        code = self.languages.get(key, ("", "<code>"))[1]
        return (
            self.topics.format(language=key, code=code, split=self.topics_of.get(base, base)),
            self.qrels.format(language=key, code=code, split=base),
            self.corpus.format(language=key, code=code),
        )

    def _keys(self, split: str, languages: Languages) -> list[str]:
        """Return the languages to read, as the patterns name them."""
        absent = self.absent.get(split.removesuffix("-full"), ())
        pools = {key: pair for key, pair in self.languages.items() if pair[1] not in absent}
        return choose_pools(f"{self.name}:{split}", pools, languages)
