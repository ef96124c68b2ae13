"""Question answering and parallel sentences, laid out as they are published, with our own text."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

# a question, a text of two sentences, and an answer in the second of them, in four languages
TEXTS = {
    "de": ("Wer baut {n}?", "Der Plan {n} lag vor. Die Stadt baut Haus {n}.", "Die Stadt"),
    "en": ("Who builds {n}?", "Plan {n} was there. The town builds house {n}.", "The town"),
    "es": ("¿Quién construye {n}?", "Había un plan {n}. El pueblo hace la casa {n}.", "El pueblo"),
    "zh": ("谁建{n}?", "有计划{n}。镇上建房子{n}。", "镇上"),
}


def to_json(content) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def json_lines(rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def parquet(rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def paragraph(language: str, n: int, key: str | None = None) -> dict:
    """A paragraph of SQuAD's form with one question."""
    question, context, answer = TEXTS[language]
    context = context.format(n=n)
    answers = [{"text": answer, "answer_start": context.index(answer)}]
    return {
        "context": context,
        "qas": [{"id": key or f"q{n}", "question": question.format(n=n), "answers": answers}],
    }


def squad(paragraphs, **more) -> bytes:
    return to_json({"version": "1.1", "data": [{"title": "T", "paragraphs": paragraphs}], **more})


def lareqa(commit: str) -> dict[str, bytes]:
    """The archive of the authors' repository: both folders; XQuAD-R is parallel, MLQA-R partly."""
    files = {f"lareqa-{commit}/README.md": b""}
    for folder, numbers in (
        ("xquad-r", {x: [1, 2] for x in TEXTS}),
        ("mlqa-dev-r", {"de": [3], "en": [3, 4, 5], "es": [4], "zh": [5]}),
    ):
        for language, wanted in numbers.items():
            paragraphs = []
            for n in wanted:
                one = paragraph(language, n)
                start = one["qas"][0]["answers"][0]["answer_start"]
                first = one["context"][:start].rstrip()
                one["sentence_breaks"] = [[0, len(first)], [start, len(one["context"])]]
                one["sentences"] = [first, one["context"][start:]]
                paragraphs.append(one)
            files[f"lareqa-{commit}/{folder}/{language}.json"] = squad(paragraphs)
    return files


def mlqa() -> dict[str, bytes]:
    """MLQA_V1.zip with three languages, and what macOS adds to archives."""
    files = {"__MACOSX/MLQA_V1/dev/._dev-context-de-question-de.json": b"x"}
    for split, key in (("dev", "d"), ("test", "e")):
        for context in ("de", "en", "zh"):
            for question in ("de", "en", "zh"):
                both = [
                    n for n in (1, 2, 3) if n not in {"de": (), "en": (3,), "zh": (1,)}[context]
                ]
                paragraphs = []
                for n in both:
                    one = paragraph(context, n, f"{key}{n}".ljust(40, "0"))
                    one["qas"][0]["question"] = TEXTS[question][0].format(n=n)
                    paragraphs.append(one)
                name = f"{split}/{split}-context-{context}-question-{question}.json"
                files[f"MLQA_V1/{name}"] = squad(paragraphs)
    return files


TYDI_NAMES = {"en": "english", "fi": "finnish", "sw": "swahili"}
# language of each question of train, in the order of the file
TYDI_TRAIN = ("fi", "en", "sw", "fi", "fi", "sw")


def _tydi_entry(language: str, n: int, key: str) -> dict:
    context = f"  {language} {n}: the lake is deep."  # contexts may begin with blanks
    start = context.index("the")
    answers = [{"text": "the lake", "answer_start": start}]
    qas = [{"id": key, "question": f"{language} {n}?", "answers": answers}]
    return {"title": "T", "paragraphs": [{"context": context, "qas": qas}]}


def tydi() -> tuple[bytes, dict[str, bytes]]:
    """The train file with all languages, and the files of the dev archive."""
    train = [
        _tydi_entry(language, n, f"{TYDI_NAMES[language]}-{(-1) ** n * 87423253684639 + n}-{n % 2}")
        for n, language in enumerate(TYDI_TRAIN)
    ]
    dev = {
        f"tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-{name}.json": to_json(
            {
                "version": "1.1",
                "data": [_tydi_entry(code, n, f"{name}--26768740766634{n}-29") for n in (7, 8)],
            }
        )
        for code, name in TYDI_NAMES.items()
    }
    return to_json({"version": "1.1", "data": train}), dev


def xtreme_tydi() -> dict[str, bytes]:
    """What XTREME's script makes of both: shorter ids in train, no answers in dev."""
    train, dev = tydi()
    files = {}
    for code, name in TYDI_NAMES.items():
        own = []
        for entry in json.loads(train)["data"]:
            qa = entry["paragraphs"][0]["qas"][0]
            if qa["id"].split("-")[0] == name:
                qa["id"] = qa["id"].split("-")[-1]
                own.append({"paragraphs": entry["paragraphs"]})
        files[f"train/tydiqa.goldp.{code}.train.json"] = to_json({"data": own, "version": "1.1"})
        content = json.loads(dev[f"tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-{name}.json"])
        for entry in content["data"]:
            entry["paragraphs"][0]["qas"][0]["answers"] = [{"answer_start": 0, "text": ""}]
        files[f"dev/tydiqa.goldp.{code}.dev.json"] = to_json(content)
    return files


TICO_CODES = ("es-LA", "fr", "kr", "prs", "ti_ER", "tl")
TICO_HEADER = "sourceLang targetLang sourceString targetString stringID url license translator_ID"


def tico() -> dict[str, bytes]:
    """The files `dev/dev.en-XX.tsv` and `test/test.en-XX.tsv`, of four documents."""
    files = {}
    parts = {
        "dev": [(1, "CMU_1"), (2, "CMU_1"), (3, "PubMed_6")],
        "test": [(10, "Wikinews_2"), (9, "Wikinews_1"), (11, "wiki_9")],
    }
    for part, segments in parts.items():
        for code in TICO_CODES:
            out = io.StringIO()
            table = csv.writer(out, delimiter="\t", lineterminator="\n")
            table.writerow(TICO_HEADER.split())
            for number, document in segments:
                english, other = f'The "cough" {number}.', f'{code}: "{number}" \tx'
                key = f"{document}:{number}"
                table.writerow(["en", code, english, other, key, "example.org", "CC0", "1"])
            files[f"{part}/{part}.en-{code}.tsv"] = out.getvalue().encode()
    return files


def tico_table() -> bytes:
    """The same as one Parquet table: English last, segments by number."""
    rows = []
    for code in (*TICO_CODES, "en"):
        for number, document in (
            (1, "CMU_1"), (2, "CMU_1"), (3, "PubMed_6"),
            (9, "Wikinews_1"), (10, "Wikinews_2"), (11, "wiki_9"),
        ):  # fmt: skip
            text = f'The "cough" {number}.' if code == "en" else f'{code}: "{number}" \tx'
            key = f"{document}:{number}"
            rows.append({"id": key, "document": document, "language": code, "text": text})
    return parquet(rows)


SIB_CODES = ("eng_Latn", "prs_Arab", "swh_Latn")
SIB_NUMBERS = {"dev": (7,), "test": (12, 5), "train": (1, 3, 2)}


def _sib_text(code: str, number: int) -> str:
    return f'"{code}" opens {number}.' if number % 2 else f'{code} said "{number}".'


def sib(commit: str) -> dict[str, bytes]:
    """The archive of the authors' repository. Nothing is quoted, and some texts begin with `"`."""
    root = f"sib-200-{commit}/data"
    files = {
        f"{root}/annotated/.DS_Store": b"x",
        f"{root}/annotated/nqo_Nkoo.zip": b"PK",
        f"{root}/eng/test.tsv": b"index_id\tcategory\ttext\n1\ttravel\tanother copy\n",
        f"sib-200-{commit}/data.zip": b"PK",
    }
    for code in SIB_CODES:
        files[f"{root}/annotated/{code}/labels.txt"] = b"travel\n"
        for split, numbers in SIB_NUMBERS.items():
            table = "index_id\tcategory\ttext\n" + "\n".join(
                f"{n}\ttravel\t{_sib_text(code, n)}" for n in numbers
            )
            files[f"{root}/annotated/{code}/{split}.tsv"] = table.encode()
    return files


def sib_table() -> bytes:
    """The same as one Parquet table."""
    return parquet(
        [
            {
                "language": code,
                "split": split,
                "index_id": n,
                "category": "travel",
                "text": _sib_text(code, n),
            }
            for code in SIB_CODES
            for split, numbers in SIB_NUMBERS.items()
            for n in numbers
        ]
    )


def afriqa(commit: str) -> dict[str, bytes]:
    """The archive of the authors' repository: JSON lines or a list in files named .json."""
    root = f"afriqa-{commit}/data"
    files = {f"afriqa-{commit}/README.md": b"# AfriQA"}
    for code, pivot in (("swa", "en"), ("fon", "fr"), ("yor", "en")):
        rows = [
            {
                "id": str(n),
                "context": f"{pivot} {code} {n}: the lake is deep.",
                "question_lang": f"{code} {n}?",
                "question_translated": f"{pivot} {n}?",
                "answer_pivot": {"answer_start": [-1], "text": [""]},
                "title": "T",
                "answer_lang": "x",
            }
            for n in range(3)
        ]
        rows[2]["question_lang"] = "" if code == "yor" else "last?"
        gold = f"gold_span_passages.afriqa.{code}.{pivot}.test.json"
        files[f"{root}/gold_passages/{code}/{gold}"] = (
            to_json(rows) if code == "fon" else json_lines(rows)
        )
        files[f"{root}/queries/{code}/queries.afriqa.{code}.{pivot}.test.json"] = b"{}\n"
    return files


def mlir() -> dict[str, bytes]:
    """XQuAD_test in queries of all languages (MMLIR, ids with the language) and of one."""
    documents = [(x, n) for x in ("de", "dt", "en", "zh") for n in (0, 1)]
    corpus = json_lines({f"{x}_{n}_0": {"text": f"{x} text {n}", "lang": x}} for x, n in documents)
    files = {"README.md": b"# MLIR"}

    def relevant(n):
        return {f"{x}_{n}_0": 1 for x in ("de", "dt", "en", "zh")}

    every = [(x, n) for x in ("de", "en", "zh") for n in (0, 1)]
    base = {0: "56beb4343aeaaa14008c925b", 1: "q_1"}
    variants = {
        "MMLIR": (
            [{"_id": f"{x}_{base[n]}", "text": f"{x} {n}?", "lang": x} for x, n in every],
            [{f"{x}_{base[n]}": relevant(n)} for x, n in every],
        )
    }
    for x in ("en", "hi", "vi", "zh"):
        variants[f"MLIR-{x}"] = (
            [{"_id": base[0], "text": f"{x} 0?"}, {base[1]: f"{x} 1?"}],  # both forms of a row
            [{base[n]: relevant(n)} for n in (0, 1)],
        )
    for variant, (queries, judged) in variants.items():
        folder = f"{variant}/XQuAD_test"
        files[f"{folder}/queries.jsonl"] = json_lines(queries)
        files[f"{folder}/corpus.jsonl"] = corpus
        files[f"{folder}/qrels.jsonl"] = json_lines(judged)
    return files


def jaquad() -> dict[str, bytes]:
    """The hub's files: two of train, one of dev, and the loading script."""
    files = {"JaQuAD.py": b"raise RuntimeError('never run')", "README.md": b"# JaQuAD"}
    for split, n_files in (("train", 2), ("dev", 1)):
        for k in range(n_files):
            one = paragraph("zh", k, f"{split[:2]}-000-0{k}-000")
            one["qas"][0]["question_type"] = "x"
            files[f"data/{split}/jaquad_{split}_000{k}.json"] = squad([one])
    return files


def _arcd_paragraphs(split: str) -> list[dict]:
    one = paragraph("en", 1, f"{split}1")
    one["context"] = one["context"].replace(
        "The town", "The  town"
    )  # another blank than the answer
    return [one, paragraph("de", 2, f"{split}2")]


def arcd() -> dict[str, bytes]:
    """The authors' two files."""
    return {f"arcd-{s}.json": squad(_arcd_paragraphs(s)) for s in ("train", "test")}


def arcd_hub() -> dict[str, bytes]:
    """The hub's Parquet files, where test is called validation."""
    files = {}
    for split, name in (("train", "train"), ("test", "validation")):
        rows = []
        for one in _arcd_paragraphs(split):
            qa = one["qas"][0]
            answers = {
                "text": [a["text"] for a in qa["answers"]],
                "answer_start": [a["answer_start"] for a in qa["answers"]],
            }
            rows.append(
                {
                    "id": qa["id"],
                    "title": "T",
                    "context": one["context"],
                    "question": qa["question"],
                    "answers": answers,
                }
            )
        files[f"plain_text/{name}-00000-of-00001.parquet"] = parquet(rows)
    return files


def gzipped(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files, each packed by gzip."""
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
