"""A reader for collections that have topics, qrels and a corpus for each language.

The split `dev` has the judged passages alone, `dev-full` the whole collection.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.source import Reader
from mixling.errors import MixlingError, Skipped


def collection_reader(
    name: str, languages: dict[str, tuple[str, str]], topics: str, qrels: str, corpus: str
) -> Reader:
    """Return a reader of a collection.

    Args:
        name: The name of the source.
        languages: Language of the queries and of the passages, by the text that stands for
            {language} in the patterns.
        topics: A pattern of the topics' files, with {language} and {split}.
        qrels: A pattern of the judgments' files.
        corpus: A pattern of the documents' files.
    """
    patterns = {"topics": topics, "qrels": qrels, "corpus": corpus}

    def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
        base, full = split.removesuffix("-full"), split.endswith("-full")
        builder, skipped = CorpusBuilder(name), Skipped(skip_bad)
        for language, (query_language, passage_language) in languages.items():
            files = {
                part: sorted(folder.glob(pattern.format(language=language, split=base)))
                for part, pattern in patterns.items()
            }
            if not files["topics"]:
                continue
            for part in ("qrels", "corpus"):
                if not files[part]:
                    raise MixlingError(
                        f"{folder}: {language} has topics but no {part}; fetch the set again"
                    )
            judgments = trec.read_qrels(files["qrels"][0], skipped)
            only = None if full else {document for _, document in judgments}

            def group(query: str, language: str = language) -> str:
                return f"{language}:{query}"

            trec.add_judged(
                builder,
                trec.read_topics(files["topics"][0], skipped),
                judgments,
                trec.read_documents(files["corpus"], skipped, passage_language, only),
                query_language,
                group,
            )
        if not builder.queries:
            raise MixlingError(
                f"{folder}: no file like {topics.format(language='<language>', split=base)}"
            )
        return builder.build(skipped.rows)

    return read
