"""Fills in missing languages of a source by machine translation and checks every translation.

OUT/                    a folder for training: the source's rows and the accepted translations
OUT/translations.jsonl  a line for each translation: its row, languages, translator, checks and text
OUT/translate.json      the options and the counts
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.corpus import LINKS, PASSAGES, QUERIES, Corpus
from mixling.corpora.files import finished_report, write_text
from mixling.corpora.inputs import hash_model_files
from mixling.corpora.languages import language_tag
from mixling.corpora.sentences import sentence_spans
from mixling.errors import MixlingError, check_finite_numbers, not_installed
from mixling.models.hub_cache import in_hub_cache
from mixling.models.retriever import Retriever
from mixling.preparation.check_translations import CheckedTranslation, check_translations
from mixling.preparation.job import JobReport, unfinished_folder
from mixling.preparation.missing_texts import MissingText, missing_texts
from mixling.preparation.seq2seq import CommandTranslator, Seq2SeqTranslator, Translator
from mixling.progress import Progress

BLOCK = 64  # texts that are translated and saved at a time


@dataclass(frozen=True)
class TranslationReport(JobReport):
    """The counts of `translate`.

    Args:
        job: The options, and hashes of the models and the corpus.
        texts: Texts that were translated.
        accepted: Translations that passed the checks.
        counts: Translations by table and outcome, for instance `{"query: accepted": 40, "passage:
            length": 2}`.
        language_not_checked: Translations into languages that the identifier does not know.
    """

    texts: int
    accepted: int
    counts: dict[str, int]
    language_not_checked: int


def translate(
    source: str | Corpus,
    out: str | Path,
    to: Sequence[str],
    *,
    model: str | None = None,
    command: str | None = None,
    pivot: str = "en",
    split: str | None = None,
    path: str | Path | None = None,
    ratio: float = 2.5,
    similarity: str | None = None,
    margin: float = 1.0,
    beams: int = 4,
    trust_remote_code: bool = False,
) -> TranslationReport:
    """Translate the texts that a source lacks in some languages; write source and translations.

    Passages are translated sentence by sentence, so that the sentence that answers is known in the
    translation. A translation is dropped if a sentence is empty, if it copies the original, if its
    length is unusual, if it is in another language (py3langid; languages that it does not know pass
    and are counted), or if `similarity` finds it too far from the original.

    Unfinished work lies in OUT.part; a call that was killed goes on there.

    Args:
        source: A named source, a folder, or a corpus.
        out: The folder to write; the report is its `translate.json`.
        to: The languages to fill in.
        model: Folder or hub name of a sequence-to-sequence model.
        command: A program that reads a text a line, with {source} and {target} for the languages,
            in place of a model.
        pivot: The language to translate from; groups without a text in it use their first.
        split: The split of the source; default: train, else its first.
        path: The folder of a named source.
        ratio: How many times longer or shorter than usual a translation may be. The usual ratio of
            its length to the original's, in characters, is the median of the two languages.
        similarity: Folder or hub name of a retriever that compares each translation with its
            original.
        margin: Least margin of `similarity`, see `mixling.preparation.similarity`.
        beams: Beams of the model's search; 1 is greedy and fastest.
        trust_remote_code: Run code that the models' folders bring.

    Returns:
        The counts.

    Raises:
        MixlingError: There is no model or command, it cannot be loaded or run or does not know a
            language, no text is missing, or `out` holds something else.

    Example:
        >>> report = mixling.translate(
        ...     "sample", "sample-xh", ["xh"], model="facebook/nllb-200-distilled-600M"
        ... )
    """
    check_finite_numbers(ratio=ratio, margin=margin)
    out, targets = Path(out), [language_tag(language) for language in to]
    if (model is None) == (command is None):
        raise MixlingError(
            "translation needs either a model or a command. Give one of --model and --command."
        )
    if find_spec("py3langid") is None:  # before hours of translation, which it checks
        raise not_installed("py3langid", "translate")
    corpus = (
        source if isinstance(source, Corpus) else load(source, split, path=path, for_training=True)
    )
    job = {
        "translator": model or command,
        "to": targets,
        "pivot": language_tag(pivot),
        "corpus": corpus.fingerprint(),
        "ratio": ratio,
        "similarity": similarity,
        "margin": margin,
        "beams": beams if model else None,
        "model_files": _model_hash(model),
        "similarity_files": _model_hash(similarity),
    }
    finished = finished_report(out / "translate.json", job, "translated")
    if finished is not None:
        return TranslationReport.from_dict(finished)
    missing = missing_texts(corpus, targets, language_tag(pivot))
    if not missing:
        raise MixlingError(
            f"{corpus.name}: every text is in {', '.join(targets)} already, so there is nothing "
            "to translate."
        )
    with unfinished_folder(out, job) as part:
        translator = _translator(model, command, beams, trust_remote_code)
        translations = _translate_texts(missing, translator, part)
        retriever = (
            Retriever(similarity, trust_remote_code=trust_remote_code) if similarity else None
        )
        languages = corpus.languages()
        checked = check_translations(missing, translations, languages, ratio, retriever, margin)
        accepted = [c.dropped is None for c in checked]
        translated = add_translations(corpus, missing, translations, accepted)
        report = TranslationReport(job=job, **_counts(checked))
        files = {
            "translations.jsonl": _translation_lines(checked, str(job["translator"])),
            "translate.json": report.to_json(),
        }
        folder.write_folder(translated, out, split or "train", extra_files=files)
    return report


def _translator(
    model: str | None, command: str | None, beams: int, trust_remote_code: bool
) -> Translator:
    """Return the command as a translator; without a command load the model."""
    if command is not None:
        return CommandTranslator(command)
    return Seq2SeqTranslator(str(model), beams=beams, trust_remote_code=trust_remote_code)


def _translation_lines(checked: Sequence[CheckedTranslation], translator: str) -> str:
    """Return the text of translations.jsonl."""
    rows = ({**asdict(c), "translator": translator} for c in checked)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _counts(checked: Sequence[CheckedTranslation]) -> dict[str, Any]:
    """Return the counts of `TranslationReport`."""
    counts = Counter((c.table, c.dropped or "accepted") for c in checked)
    return {
        "texts": len(checked),
        "accepted": sum(c.dropped is None for c in checked),
        "counts": {f"{table}: {outcome}": n for (table, outcome), n in sorted(counts.items())},
        "language_not_checked": sum(c.language is None for c in checked),
    }


def _model_hash(name: str | None) -> str | None:
    """Return the hash of a model's files; None if they are not on this machine."""
    folder = name if name is None or Path(name).is_dir() else in_hub_cache(name)
    return None if folder is None else hash_model_files(folder)


def _translate_texts(
    missing: Sequence[MissingText], translator: Translator, part: Path
) -> list[list[str]]:
    """Return the translated sentences of each text; save some texts at a time in `part`."""
    translations: list[list[str]] = []
    begin = 0
    with Progress("translating") as progress:
        while begin < len(missing):
            # a block has one pair of languages
            pair = (missing[begin].source_language, missing[begin].target_language)
            end = begin + 1
            while (
                end < min(begin + BLOCK, len(missing))
                and (missing[end].source_language, missing[end].target_language) == pair
            ):
                end += 1
            file = part / f"block-{begin:09d}.json"
            if not file.exists():
                block = missing[begin:end]
                sentences = translator([s for text in block for s in text.sentences], *pair)
                edges = np.cumsum([0, *(len(text.sentences) for text in block)])
                texts = [sentences[a:b] for a, b in pairwise(edges)]
                write_text(file, json.dumps(texts, ensure_ascii=False))
            translations += json.loads(file.read_text(encoding="utf-8"))
            begin = end
            progress(begin, len(missing))
    return translations


def add_translations(
    corpus: Corpus,
    missing: Sequence[MissingText],
    translations: Sequence[Sequence[str]],
    accepted: Sequence[bool],
) -> Corpus:
    """Return the corpus with accepted translations.

    A translated passage answers what its original answers, and the answer's place is the translated
    sentence.

    Args:
        corpus: The corpus.
        missing: The originals.
        translations: The translated sentences of each.
        accepted: Whether each translation is added.
    """
    tables = {"query": corpus.queries.to_pylist(), "passage": corpus.passages.to_pylist()}
    links = corpus.links.to_pylist()
    links_of: dict[int, list[dict[str, Any]]] = {}
    for link in links:
        links_of.setdefault(link["passage"], []).append(link)
    for original, sentences, is_accepted in zip(missing, translations, accepted, strict=True):
        if not is_accepted:
            continue
        row = tables[original.table][original.row]
        text = " ".join(sentences)
        # a text without an id has its text in the id column
        key = text if row["id"] == row["text"] else f"{row['id']}:{original.target_language}"
        new = {**row, "id": key, "text": text, "language": original.target_language}
        if original.table == "passage":
            edges = np.cumsum([0, *(len(s) + 1 for s in sentences)])
            places = [(int(a), int(b) - 1) for a, b in pairwise(edges)]
            new["sentences"] = [{"start": a, "end": b} for a, b in places]
            spans = sentence_spans(row["text"])
            for link in links_of.get(original.row, []):
                sentence = _sentence_with(spans, link["start"])
                start, end = (None, None) if sentence is None else places[sentence]
                links.append(
                    {**link, "passage": len(tables["passage"]), "start": start, "end": end}
                )
        tables[original.table].append(new)
    return replace(
        corpus,
        queries=pa.Table.from_pylist(tables["query"], QUERIES),
        passages=pa.Table.from_pylist(tables["passage"], PASSAGES),
        links=pa.Table.from_pylist(links, LINKS),
    )


def _sentence_with(spans: Sequence[tuple[int, int]], start: int | None) -> int | None:
    """Return the sentence that holds a character; None if none does."""
    if start is None:
        return None
    return next((i for i, (a, b) in enumerate(spans) if a <= start < b), None)
