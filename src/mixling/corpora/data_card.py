"""The card of a folder of data, as the hub takes it: languages, counts, and which file is which, for `datasets.load_dataset`."""

from __future__ import annotations

from collections import Counter

from mixling.corpora.corpus import Corpus

_BODY = """# {name}

Questions and passages in {n} languages, a BEIR folder with languages and groups (texts of one group say the same), written by
Mixling. Texts keep the license of where they come from.

```python
from datasets import load_dataset
corpus = load_dataset("path/to/this/folder", "corpus", split="train")
```

`mixling train` and `mixling evaluate` read the folder as it is.

| language | questions | passages |
|---|---|---|
{rows}
"""


def data_card(corpus: Corpus, files: dict[str, str]) -> str:
    """README.md of a folder. files: of corpus and queries their file; `datasets` reads one format a folder, so the tables of
    links beside them are not named."""
    from huggingface_hub import DatasetCardData

    languages = corpus.languages()
    data = DatasetCardData(
        language=sorted({x.partition("-")[0] for x in languages}),
        task_categories=["text-retrieval"],
        tags=["mixling"],
        configs=[{"config_name": part, "data_files": path} for part, path in files.items()],
    )
    asked, read = (Counter(t["language"].to_pylist()) for t in (corpus.queries, corpus.passages))
    rows = [f"| {x} | {asked[x]:,} | {read[x]:,} |" for x in languages]
    body = _BODY.format(name=corpus.name, n=len(languages), rows="\n".join(rows))
    return f"---\n{data.to_yaml()}\n---\n\n{body}"
