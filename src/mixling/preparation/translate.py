"""Missing languages of a source filled in by machine translation, every translation checked, its origin kept by row.

OUT/                    a folder as training reads it: the source's rows and the translations that were kept
OUT/translations.jsonl  a line for each translation: what, row, from, to, by, length ratio, language, margin, kept or why not
OUT/translate.json      the call and its counts
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.corpus import LINKS, PASSAGES, QUERIES, Corpus
from mixling.corpora.files import finished_report, open_run_dir, write_text
from mixling.corpora.inputs import hash_model_files
from mixling.corpora.languages import base_language, language_script, language_tag
from mixling.corpora.sentences import sentence_spans
from mixling.disk import one_writer
from mixling.errors import MixlingError, check_finite_numbers
from mixling.models.identify import identify_languages, knows
from mixling.models.retriever import Retriever
from mixling.models.weights import in_hub_cache
from mixling.preparation.seq2seq import CommandTranslator, Seq2SeqTranslator, Translator
from mixling.preparation.similarity import margin_scores
from mixling.progress import Progress

BLOCK = 64


@dataclass(frozen=True)
class MissingText:
    """A text to translate: row of `questions` or `passages`, its sentences, from and to which language."""

    side: str
    row: int
    source: str
    target: str
    sentences: tuple[str, ...]


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
) -> dict[str, Any]:
    """Translate what a source lacks in some languages, and write source and translations to `out`.

    source: a name, a folder or a Corpus; to: languages; model: a sequence-to-sequence model, or command: a program that
    reads a text a line. pivot: the language translated from where a text is there in it, else its first. Passages go
    sentence by sentence, so that an answer's sentence is known in the translation. Dropped are: empty ones; copies; those
    whose length in characters is more than `ratio` times longer or shorter than is usual for the pair of languages; those
    that are in another language (py3langid; languages that it does not know pass and are counted); with `similarity`, a
    retriever, those whose margin (preparation/similarity.py) is below `margin`. Work lies in OUT.part; a killed call goes
    on. trust_remote_code: as of Retriever. Returns the counts. Raises MixlingError.
    """
    check_finite_numbers(ratio=ratio, margin=margin)
    out, targets = Path(out), [language_tag(x) for x in to]
    if (model is None) == (command is None):
        raise MixlingError("say who translates: either a model or a command")
    if find_spec("py3langid") is None:  # it checks what was translated, which may take hours before
        raise MixlingError("py3langid is not installed: pip install 'mixling[translate]'")
    corpus = source if isinstance(source, Corpus) else load(source, split, path=path)
    job = {
        "by": model or command,
        "to": targets,
        "pivot": language_tag(pivot),
        "corpus": corpus.fingerprint(),
        "ratio": ratio,
        "similarity": similarity,
        "margin": margin,
        "beams": beams if model else None,
        "model_files": _files(model),
        "similarity_files": _files(similarity),
    }
    done = finished_report(out / "translate.json", job, "translated")
    if done is not None:
        return done
    wanted = missing_texts(corpus, targets, language_tag(pivot))
    if not wanted:
        raise MixlingError(f"{corpus.name}: every text is there in {', '.join(targets)} already")
    part = out.with_name(out.name + ".part")
    with one_writer(part):
        open_run_dir(part, job)
        by: Translator = (
            CommandTranslator(command)
            if command
            else Seq2SeqTranslator(str(model), beams=beams, trust_remote_code=trust_remote_code)
        )
        made = _translated(wanted, by, part)
        judge = Retriever(similarity, trust_remote_code=trust_remote_code) if similarity else None
        rows = check_translations(wanted, made, corpus.languages(), ratio, judge, margin)
        whole = add_translations(corpus, wanted, made, [r["dropped"] is None for r in rows])
        counts = Counter((r["what"], r["dropped"] or "kept") for r in rows)
        report = {
            **job,
            "asked": len(rows),
            "kept": sum(r["dropped"] is None for r in rows),
            "counts": {f"{what}: {why}": n for (what, why), n in sorted(counts.items())},
            "language_not_checked": sum(r["language"] is None for r in rows),
        }
        lines = "".join(json.dumps({**r, "by": job["by"]}, ensure_ascii=False) + "\n" for r in rows)
        more = {
            "translations.jsonl": lines,
            "translate.json": json.dumps(report, indent=1, ensure_ascii=False),
        }
        folder.write_folder(whole, out, split or "train", extra_files=more)
        shutil.rmtree(part)
        return report


def _files(name: str | None) -> str | None:
    """The hash of a model's files, where they are on this machine."""
    folder = name if name is None or Path(name).is_dir() else in_hub_cache(name)
    return None if folder is None else hash_model_files(folder)


def missing_texts(corpus: Corpus, targets: Sequence[str], pivot: str) -> list[MissingText]:
    """The texts that a corpus lacks: for each group without a target language, its text in `pivot` or its first."""
    found = []
    for side, table in (("query", corpus.queries), ("passage", corpus.passages)):
        first: dict[str, dict[str, int]] = {}
        columns = [table[c].to_pylist() for c in ("group", "language", "text")]
        for row, (group, language, _) in enumerate(zip(*columns, strict=True)):
            first.setdefault(group, {}).setdefault(language, row)
        for there in first.values():
            row = there.get(pivot, next(iter(there.values())))
            text = columns[2][row]
            cut = (
                tuple(text[a:b] for a, b in sentence_spans(text))
                if side == "passage"
                else (" ".join(text.split()),)
            )
            found += [
                MissingText(side, row, columns[1][row], x, cut) for x in targets if x not in there
            ]
    order = {x: i for i, x in enumerate(targets)}
    return sorted(found, key=lambda w: (w.source, order[w.target]))


def _translated(wanted: list[MissingText], by: Translator, part: Path) -> list[list[str]]:
    """The sentences of each text translated; a block's are kept in `part` as they come."""
    made: list[list[str]] = []
    begin = 0
    with Progress("translating") as bar:
        while begin < len(wanted):
            end = begin + 1
            pair = (wanted[begin].source, wanted[begin].target)
            while (
                end < min(begin + BLOCK, len(wanted))
                and (wanted[end].source, wanted[end].target) == pair
            ):
                end += 1
            kept = part / f"block-{begin:09d}.json"
            if not kept.exists():
                some = wanted[begin:end]
                flat = by([s for w in some for s in w.sentences], *pair)
                edges = np.cumsum([0, *(len(w.sentences) for w in some)])
                texts = [flat[a:b] for a, b in pairwise(edges)]
                write_text(kept, json.dumps(texts, ensure_ascii=False))
            made += json.loads(kept.read_text(encoding="utf-8"))
            begin = end
            bar(begin, len(wanted))
    return made


def check_translations(
    missing: Sequence[MissingText],
    translations: Sequence[Sequence[str]],
    languages: Sequence[str],
    ratio: float,
    retriever: Retriever | None,
    min_margin: float,
) -> list[dict[str, Any]]:
    """A row for each translation, with `dropped`: None, or why."""
    before, after = (
        [" ".join(x) for x in texts] for texts in ([w.sentences for w in missing], translations)
    )
    ratios = np.array([len(b) / max(len(a), 1) for a, b in zip(before, after, strict=True)])
    pair = np.array([f"{w.source}>{w.target}" for w in missing])
    usual = {
        p: float(np.median(ratios[(pair == p) & (ratios > 0)]))
        if (ratios[pair == p] > 0).any()
        else 1.0
        for p in set(pair)
    }
    seen = _languages(missing, after, languages)
    near = np.full(len(missing), np.nan)
    if retriever is not None:
        for p in set(pair):
            mine = np.flatnonzero((pair == p) & (ratios > 0))
            near[mine] = margin_scores(
                retriever, [before[i] for i in mine], [after[i] for i in mine]
            )
    rows = []
    for i, w in enumerate(missing):
        off = ratios[i] / usual[pair[i]]
        dropped = None
        if not all(x.strip() for x in translations[i]):
            dropped = "empty"
        elif after[i].casefold() == before[i].casefold():
            dropped = "copied"
        elif off > ratio or off < 1 / ratio:
            dropped = "length"
        elif seen[i] is not None and seen[i] != w.target:
            dropped = "language"
        elif near[i] < min_margin:
            dropped = "similarity"
        rows.append(
            {
                "what": w.side, "row": w.row, "from": w.source, "to": w.target, "text": after[i],
                "ratio": round(float(off), 3), "language": seen[i],
                "margin": None if np.isnan(near[i]) else round(float(near[i]), 4), "dropped": dropped,
            }
        )  # fmt: skip
    return rows


def _languages(
    wanted: Sequence[MissingText], texts: Sequence[str], languages: Sequence[str]
) -> list[str | None]:
    """The language of each translation, among the source's and the target; None where the identifier does not know it."""
    found: list[str | None] = [None] * len(wanted)
    for target in {w.target for w in wanted}:
        mine = [i for i, w in enumerate(wanted) if w.target == target]
        # tags of one language in one script (pt and pt-BR) cannot be told apart: what is either is the target's
        like = (base_language(target), language_script(target))
        among = sorted(
            {target, *(x for x in languages if (base_language(x), language_script(x)) != like)}
        )
        if not knows(target):
            continue
        for i, one in zip(mine, identify_languages([texts[i] for i in mine], among), strict=True):
            found[i] = one
    return found


def add_translations(
    corpus: Corpus,
    missing: Sequence[MissingText],
    translations: Sequence[Sequence[str]],
    accepted: Sequence[bool],
) -> Corpus:
    """The corpus with the translations that were kept; a translated passage answers what its original answers."""
    tables = {"query": corpus.queries.to_pylist(), "passage": corpus.passages.to_pylist()}
    links = corpus.links.to_pylist()
    of: dict[int, list[dict]] = {}
    for link in links:
        of.setdefault(link["passage"], []).append(link)
    for w, sentences, keep in zip(missing, translations, accepted, strict=True):
        if not keep:
            continue
        row = tables[w.side][w.row]
        text = " ".join(sentences)
        key = text if row["id"] == row["text"] else f"{row['id']}:{w.target}"
        new = {**row, "id": key, "text": text, "language": w.target}
        if w.side == "passage":
            edges = np.cumsum([0, *(len(s) + 1 for s in sentences)])
            places = [(int(a), int(b) - 1) for a, b in pairwise(edges)]
            new["sentences"] = [{"start": a, "end": b} for a, b in places]
            before = sentence_spans(row["text"])
            for link in of.get(w.row, []):
                place = _holding(before, link["start"])
                span = (None, None) if place is None else places[place]
                links.append(
                    {**link, "passage": len(tables["passage"]), "start": span[0], "end": span[1]}
                )
        tables[w.side].append(new)
    return replace(
        corpus,
        queries=pa.Table.from_pylist(tables["query"], QUERIES),
        passages=pa.Table.from_pylist(tables["passage"], PASSAGES),
        links=pa.Table.from_pylist(links, LINKS),
    )


def _holding(sentences: Sequence[tuple[int, int]], start: int | None) -> int | None:
    """The sentence that holds a character."""
    if start is None:
        return None
    return next((i for i, (a, b) in enumerate(sentences) if a <= start < b), None)
