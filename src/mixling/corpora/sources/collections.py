"""What collections with topics, qrels and a corpus for each language have in common.

Split `dev` ranks the judged passages alone, `dev-full` the whole collection.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.errors import MixlingError, Skipped


def reader(
    name: str, languages: dict[str, tuple[str, str]], topics: str, qrels: str, corpus: str
) -> Callable[[Path, str, bool], Corpus]:
    """languages: what stands for {language} in the patterns -> (question language, passage language)."""

    def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
        base, full = split.removesuffix("-full"), split.endswith("-full")
        builder, skipped = CorpusBuilder(name), Skipped(skip_bad)
        for short, (asked, answered) in languages.items():
            found = {
                what: sorted(folder.glob(pattern.format(language=short, split=base)))
                for what, pattern in (("topics", topics), ("qrels", qrels), ("corpus", corpus))
            }
            if not found["topics"]:
                continue
            for what in ("qrels", "corpus"):
                if not found[what]:
                    raise MixlingError(
                        f"{folder}: {short} has topics but no {what}; fetch the set again"
                    )
            judged = trec.read_qrels(found["qrels"][0], skipped)
            wanted = None if full else {d for _, d in judged}
            trec.add_judged(
                builder,
                trec.read_topics(found["topics"][0], skipped),
                judged,
                trec.read_documents(found["corpus"], skipped, answered, wanted),
                asked,
                lambda query, short=short: f"{short}:{query}",  # type: ignore[misc]
            )
        if not builder.queries:
            raise MixlingError(
                f"{folder}: no file like {topics.format(language='<language>', split=base)}"
            )
        return builder.build(skipped.rows)

    return read
