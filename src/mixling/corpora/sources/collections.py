"""Collections that have topics, qrels and a corpus for each language.

The split `dev` has the judged passages alone, `dev-full` the whole collection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, is_wanted
from mixling.errors import MixlingError, Skipped


@dataclass(frozen=True)
class Collection:
    """The files of a collection, as published.

    Args:
        name: The name of the source.
        languages: Language of the queries and of the passages, by the text that stands for
            {language} in the patterns.
        topics: The files of the topics, with {language} and {split}.
        qrels: The files of the judgments.
        corpus: The files of the documents, with {language}.
        absent: Passage languages that a split lacks, by split.
    """

    name: str
    languages: dict[str, tuple[str, str]]
    topics: str
    qrels: str
    corpus: str
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def judged_files(self, split: str, languages: Languages) -> list[Files]:
        """Return the files of topics and judgments that a split and some languages need."""
        base = split.removesuffix("-full")
        return [
            Files(pattern.format(language=key, split=base), fields)
            for key in self._keys(base, languages)
            for pattern, fields in ((self.topics, ("0", "1")), (self.qrels, ("0", "1", "2", "3")))
        ]

    def corpus_files(self, split: str, languages: Languages) -> list[Files]:
        """Return the files of documents that a split and some languages need."""
        return [
            Files(self.corpus.format(language=key), ("docid", "text"))
            for key in self._keys(split.removesuffix("-full"), languages)
        ]

    def read(self, folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        """Read a split.

        Args:
            folder: The folder.
            split: The split.
            languages: The languages of the passages; None: all that the folder has.
            skip_bad: Skip rows that cannot be used.

        Returns:
            The corpus.

        Raises:
            MixlingError: A file is missing or cannot be read.
            BadRowError: A row cannot be used, and `skip_bad` is False.
        """
        base, full = split.removesuffix("-full"), split.endswith("-full")
        builder, skipped = CorpusBuilder(self.name), Skipped(skip_bad)
        for key in self._keys(base, languages):
            query_language, passage_language = self.languages[key]
            topics, qrels, corpus = (
                find_published(folder, pattern.format(language=key, split=base))
                for pattern in (self.topics, self.qrels, self.corpus)
            )
            if not topics and languages is None:
                continue
            for files, pattern in ((topics, self.topics), (qrels, self.qrels)):
                if not files:
                    raise MixlingError(
                        f"{folder}: no file {pattern.format(language=key, split=base)}; fetch the "
                        "set again"
                    )
            if not corpus:
                raise MixlingError(
                    f"{folder}: no file {self.corpus.format(language=key)}; fetch the set again"
                )
            judgments = trec.read_qrels(qrels[0], skipped)
            only = None if full else {document for _, document in judgments}

            def group(query: str, key: str = key) -> str:
                return f"{key}:{query}"

            trec.add_judged(
                builder,
                trec.read_topics(topics[0], skipped),
                judgments,
                trec.read_documents(corpus, skipped, passage_language, only),
                query_language,
                group,
            )
        if not builder.queries:
            raise MixlingError(
                f"{folder}: no file like {self.topics.format(language='<language>', split=base)}"
            )
        return builder.build(skipped.rows)

    def _keys(self, split: str, languages: Languages) -> list[str]:
        """Return the languages to read, as the patterns name them."""
        return [
            key
            for key, (_, passage_language) in self.languages.items()
            if is_wanted(passage_language, languages)
            and passage_language not in self.absent.get(split, ())
        ]
