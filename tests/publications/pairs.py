"""The sets of query and answer, MFAQ and Belebele, as their publishers lay them out.

Each function returns the files of one publication, by their paths, with `n` rows a split unless it
says otherwise. They hold what a reader may stumble over: other configurations under the same file
names, queries without an answer, empty texts, pairs in another language than their folder.
"""

from __future__ import annotations

import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.sources.mfaq import FOLDERS

README = {"README.md": b"---\nlicense: other\n---\n", ".gitattributes": b"*.parquet filter=lfs\n"}
TEXTS = pa.list_(pa.string())


def parquet(rows, **types) -> bytes:
    """A Parquet file; columns are strings unless a type is given for them."""
    names = list(rows[0])
    schema = pa.schema([(c, types.get(c, pa.string())) for c in names])
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), out)
    return out.getvalue()


def json_lines(rows) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()


def wikiqa_rows(n):
    """Query i has a wrong and a right sentence; query 0 has no right one."""
    return [
        {
            "question_id": f"Q{i}",
            "question": f"who built tower {i}?",
            "document_title": "Tower",
            "answer": f"tower {i} was built by mason {i}." if k else f"tower {i} has {i} steps.",
            "label": k,
        }
        for i in range(n)
        for k in ((0, 1) if i else (0,))
    ]


def wikiqa(n=12, label=pa.int64()):
    """microsoft/wiki_qa."""
    rows = [{**r, "label": str(r["label"])} if label == pa.string() else r for r in wikiqa_rows(n)]
    return README | {
        f"data/{split}-00000-of-00001.parquet": parquet(rows, label=label)
        for split in ("train", "validation", "test")
    }


def duorc_rows(n, words="a letter"):
    """Query 0 has no answer in its plot."""
    return [
        {
            "plot_id": f"/m/{i}",
            "plot": f"The letters lie there. A dog called Rex {i} finds {words} in the barn.",
            "title": f"Film {i}",
            "question_id": f"{words}-{i}",
            "question": f"what does the dog of film {i} find?",
            "answers": [words, "letter"] if i else [],
            "no_answer": i == 0,
        }
        for i in range(n)
    ]


def duorc(n=12):
    """ibm-research/duorc: two configurations under the same file names."""
    return README | {
        f"{folder}/{split}-00000-of-00001.parquet": parquet(
            duorc_rows(n, words), answers=TEXTS, no_answer=pa.bool_()
        )
        for folder, words in (("SelfRC", "a letter"), ("ParaphraseRC", "a note"))
        for split in ("train", "validation", "test")
    }


def newsqa(n=12):
    """lucadiliello/newsqa: the names of its files carry a hash, and it has no test split."""
    rows = []
    for i in range(n):
        text = f"A bridge was closed. The mayor of city {i // 2} opened a bridge on Monday."
        start = text.index("a bridge")
        rows.append(
            {
                "context": text.replace("A bridge was", "Once a bridge was"),
                "question": f"what was opened in city {i // 2}, asks reader {i}?",
                "answers": ["a bridge"],
                "key": f"{i:032x}",
                "labels": [{"end": [start + 12], "start": [start + 5]}],
            }
        )
    places = pa.list_(pa.struct([("end", pa.list_(pa.int64())), ("start", pa.list_(pa.int64()))]))
    raw = parquet(rows, answers=TEXTS, labels=places)
    return README | {
        "data/train-00000-of-00001-ec54fbe500fc3b5c.parquet": raw,
        "data/validation-00000-of-00001-3cf888b12fff1dd6.parquet": raw,
    }


def natural_questions(n=12):
    """sentence-transformers/natural-questions."""
    rows = [
        {"query": f"when did ship {i} sail", "answer": f"Ship {i}. It sailed in {1900 + i}."}
        for i in range(n)
    ]
    return README | {"pair/train-00000-of-00001.parquet": parquet(rows)}


def yahoo_answers(n=12):
    """sentence-transformers/yahoo-answers: four configurations, one of them in two parts."""

    def rows(*columns, numbers):
        texts = {
            "title": "how do i cook dish {}?",
            "question": "my guests like dish {}. how long does it boil?",
            "answer": "boil dish {} for an hour",
        }
        return [{c: texts[c].format(i) for c in columns} for i in numbers]

    half = n // 2
    one = "train-00000-of-00001.parquet"
    return README | {
        f"question-answer-pair/{one}": parquet(rows("question", "answer", numbers=range(n))),
        "title-answer-pair/train-00000-of-00002.parquet": parquet(
            rows("title", "answer", numbers=range(half))
        ),
        "title-answer-pair/train-00001-of-00002.parquet": parquet(
            rows("title", "answer", numbers=range(half, n))
        ),
        f"title-question-answer-pair/{one}": parquet(rows("question", "answer", numbers=range(n))),
        f"title-question-pair/{one}": parquet(rows("title", "question", numbers=range(n))),
    }


def entity_questions_rows(n, word="born"):
    return [
        {"question": f"Where was person {i} {word}?", "answers": [f"town {i}", f"T{i}"]}
        for i in range(n)
    ]


def entity_questions(n=12):
    """dataset.zip of EntityQuestions: two relations, further selections in one-off/, and macOS's
    own records of both."""
    files = {}
    for split in ("train", "dev", "test"):
        half = n // 2
        files[f"dataset/{split}/P19.{split}.json"] = entity_questions_rows(half)
        files[f"dataset/{split}/P20.{split}.json"] = entity_questions_rows(n - half, "buried")
        seen = entity_questions_rows(n, "seen")
        files[f"dataset/one-off/no-overlap/P19/P19_no_overlap.{split}.json"] = seen
        files[f"dataset/one-off/similar/P19/P19_similar.{split}.json"] = seen
    files["dataset/one-off/nq-seen-buckets/P19/bucket0.test.json"] = seen
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, rows in files.items():
            archive.writestr(path, json.dumps(rows))
            folder, _, name = path.rpartition("/")
            archive.writestr(f"__MACOSX/{folder}/._{name}", b"\0\5\26\7")
    return out.getvalue()


def mfaq(n=12, folders=FOLDERS):
    """clips/mfaq: a page a line. The first page has a pair with an empty answer, and one in
    Finnish in whatever folder."""

    def page(folder, i):
        pairs = [
            {
                "question": f"{folder}: what does plan {i} cost?",
                "answer": f"{folder}: plan {i} costs {i} a month",
                "language": folder,
            }
        ]
        if i == 0:
            pairs.append({"question": "Open?", "answer": " ", "language": folder})
            pairs.append(
                {"question": f"{folder}: hinta?", "answer": f"{folder}: ei", "language": "fi"}
            )
        return {
            "id": str(i),
            "language": folder,
            "num_pairs": len(pairs),
            "domain": "example.org",
            "qa_pairs": pairs,
        }

    raw = {folder: json_lines(page(folder, i) for i in range(n)) for folder in folders}
    return (
        README
        | {"mfaq.py": b"# a loading script", "dataset_infos.json": b"{}"}
        | {f"data/{folder}/train.jsonl": content for folder, content in raw.items()}
        | {f"data/{folder}/valid.jsonl": content for folder, content in raw.items()}
    )


def belebele_rows(code):
    """Two links: the first has two passages, of which the first has two queries."""
    places = (("river", 0, 1), ("river", 0, 2), ("river", 1, 1), ("hill", 0, 1))
    return [
        {
            "link": f"https://example.org/{name}",
            "question_number": number,
            "flores_passage": f"{code} {name} {passage}.",
            "question": f"{code} {name} {passage} {number}?",
            **{f"mc_answer{n}": f"{n}" for n in range(1, 5)},
            "correct_answer_num": f"{i}",
            "dialect": code,
            "ds": "2023-05-03",
        }
        for i, (name, passage, number) in enumerate(places, 1)
    ]


def belebele(codes=("eng_Latn", "hin_Deva", "hin_Latn", "swh_Latn")):
    """facebook/belebele."""
    return (
        README
        | {"unused/belebele.py": b"# a loading script", "data/README": b"one file a language"}
        | {f"data/{code}.jsonl": json_lines(belebele_rows(code)) for code in codes}
    )
