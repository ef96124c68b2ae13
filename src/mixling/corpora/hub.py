"""Any Hugging Face data set (or local file that `datasets` reads) with a map of its columns.

    [[data.sources]]
    name = "my-pairs"
    hub = "organisation/name"             # or a local folder, or "json", "csv", "parquet" with `path`
    split = "train"
    columns = { query = "query", passage = "answer", language = "lang" }

`query` and `passage` must be mapped. `language` may be a column for both sides, or
`query_language` and `passage_language` one each; `negative` (a text or several) holds passages that look right and
are not, in the passage's language; without a column the source's `language` holds for
all rows. `query_group` and `passage_group` name the columns that translations share; `id` a row's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.languages import first_known_language, language_field
from mixling.corpora.values import id_text, is_missing, passage_text, text_field, value_text
from mixling.errors import BadRow, MixlingError, Skipped
from mixling.machine import cache_folder

COLUMNS = (
    "query",
    "passage",
    "language",
    "query_language",
    "passage_language",
    "query_group",
    "passage_group",
    "id",
    "title",
    "negative",
)


def read_hub(
    hub: str,
    columns: dict[str, str],
    name: str | None = None,
    split: str = "train",
    language: str | None = None,
    path: str | None = None,
    skip_bad: bool = False,
) -> Corpus:
    """One question and one passage a row. Raises MixlingError when the data set or a column is missing."""
    name = name or hub
    for key in columns:
        if key not in COLUMNS:
            raise MixlingError(f"{name}: columns.{key} is unknown; known: {', '.join(COLUMNS)}")
    for key in ("query", "passage"):
        if key not in columns:
            raise MixlingError(
                f"{name}: columns.{key} is missing; say which column holds the {key}"
            )
    rows = hub_rows(hub, name, split, path)
    for key, column in columns.items():
        if column not in rows.column_names:
            raise MixlingError(
                f"{name}: no column '{column}' (columns.{key}); there are: {', '.join(rows.column_names)}"
            )
    return _build(rows, columns, name, language, Skipped(skip_bad))


def hub_rows(
    hub: str, name: str, split: str, path: str | None = None, config: str | None = None
) -> Any:
    """A split of a data set, through the `datasets` library."""
    import datasets

    try:
        if path is not None:
            return datasets.load_dataset(hub, data_files={split: path}, split=split)
        return datasets.load_dataset(hub, config, split=split)
    except Exception as error:
        raise MixlingError(
            f"{name}: cannot load '{hub}', split '{split}' ({type(error).__name__}: {str(error).splitlines()[0]}); "
            'offline, save it once with `datasets.load_dataset(…).to_json(…)` and give hub = "json" and its path'
        ) from None


def fetch_repositories(repositories: Sequence[str], name: str) -> Path:
    """The files of data sets of the hub, in one folder of the cache; what is there already is not fetched again."""
    from huggingface_hub import snapshot_download

    folder = cache_folder() / "hub" / name
    for repository in repositories:
        try:
            snapshot_download(
                repository, repo_type="dataset", local_dir=folder / repository.replace("/", "--")
            )
        except Exception as error:
            raise MixlingError(
                f"{name}: cannot fetch '{repository}' from the hub ({type(error).__name__}); with a network, "
                f"`hf download --repo-type dataset {repository}`, put it into a folder '{name}' and set MIXLING_DATA to "
                "the folder above it"
            ) from None
    return folder


def fetch_archive(address: str, inside: str, name: str, by_hand: str) -> Path:
    """A folder of a published archive, fetched and unpacked once into the cache. by_hand: what to do where it cannot be had."""
    import datasets

    config = datasets.DownloadConfig(
        cache_dir=cache_folder() / "archives", extract_compressed_file=True, download_desc=name
    )
    try:
        folder = Path(
            str(
                datasets.DownloadManager(name, download_config=config).download_and_extract(address)
            )
        )
    except Exception as error:
        raise MixlingError(
            f"{name}: cannot fetch {address} ({type(error).__name__}); {by_hand}"
        ) from None
    if not (folder / inside).is_dir():
        raise MixlingError(f"{name}: {address} has no folder '{inside}' any more; {by_hand}")
    return folder / inside


def _build(
    rows: Any, columns: dict[str, str], name: str, language: str | None, skipped: Skipped
) -> Corpus:
    builder = CorpusBuilder(name)
    for number, row in enumerate(rows, 1):
        got = {key: row[column] for key, column in columns.items()}
        try:
            asked = text_field(row, columns["query"], name, number)
            text, title = passage_text(row, name, number, columns["passage"], columns.get("title"))
            ql, pl = (
                language_field(
                    first_known_language(
                        got.get(f"{side}_language"), got.get("language"), language
                    ),
                    f"{side}_language",
                    name,
                    number,
                    "map a column, or give `language` for all rows",
                )
                for side in ("query", "passage")
            )
            key = id_text(got, ("id",), name, number) if "id" in columns else str(number)
            group = value_text(got.get("query_group"), "query_group", name, number) or key
            group_p = value_text(got.get("passage_group"), "passage_group", name, number)
            wrong = _negatives(got.get("negative"), columns.get("negative", ""), name, number)
        except BadRow as bad:
            skipped(bad)
            continue
        builder.add_query(key, asked, ql, group)
        builder.add_link(group, builder.add_passage(text, text, pl, group_p, title))
        for other in wrong:
            builder.add_negative(key, ql, builder.add_passage(other, other, pl))
    return builder.build(skipped.rows)


def _negatives(found: Any, column: str, name: str, number: int) -> list[str]:
    """The texts of a cell that holds none, one or several. Raises BadRow."""
    if is_missing(found):
        return []
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not all(isinstance(x, str) and x.strip() for x in texts):
        raise BadRow(
            name, number, column, found, "a text or a list of texts", "mend the row or leave it out"
        )
    return texts
