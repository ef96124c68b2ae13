"""The card (README.md) of a folder of data, in the form that the Hugging Face hub reads."""

from __future__ import annotations

from collections import Counter

from mixling.corpora.corpus import Corpus

_BODY = """# {name}

Queries and passages in {n} languages: a BEIR folder with languages and groups (texts of one group
are translations of each other), written by Mixling. Texts keep the license of their source.

```python
from datasets import load_dataset
corpus = load_dataset("path/to/this/folder", "corpus", split="train")
```

`mixling train` and `mixling evaluate` read the folder as it is.

| language | queries | passages |
|---|---|---|
{rows}
"""


def data_card(corpus: Corpus, files: dict[str, str]) -> str:
    """Return the card of a folder of data: languages, counts, and the files of each table.

    Args:
        corpus: The corpus in the folder.
        files: The files of the tables `corpus` and `queries`. `datasets` reads one format a folder,
            so the tables of links are not named.

    Returns:
        The text of README.md.
    """
    from huggingface_hub import DatasetCardData

    languages = corpus.languages()
    data = DatasetCardData(
        language=sorted({x.partition("-")[0] for x in languages}),
        task_categories=["text-retrieval"],
        tags=["mixling"],
        configs=[{"config_name": part, "data_files": path} for part, path in files.items()],
    )
    queries, passages = (
        Counter(table["language"].to_pylist()) for table in (corpus.queries, corpus.passages)
    )
    rows = [f"| {x} | {queries[x]:,} | {passages[x]:,} |" for x in languages]
    body = _BODY.format(name=corpus.name, n=len(languages), rows="\n".join(rows))
    return f"---\n{data.to_yaml()}\n---\n\n{body}"
