"""MIRACL, CIRAL, Mr. TyDi, NeuCLIR and mMARCO as they are published, with texts of our own.

Each function returns the files of each data set of the hub: names, folders, compression, headers
and traps are the published ones, the rows are few.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Iterator

Publication = dict[str, dict[str, bytes]]  # data set: path: content
MIRACL_FILES = {"sw": 1, "yo": 1, "hi": 2, "de": 32}  # docs-<n>.jsonl.gz of some languages
CIRAL = {"ha": "hausa", "so": "somali", "sw": "swahili", "yo": "yoruba"}
_BOTH = ("arabic", "english", "indonesian", "japanese", "russian")
MR_TYDI = (*_BOTH, "bengali", "finnish", "korean", "swahili", "telugu", "thai")
_EUROPE = ("dutch", "french", "german", "italian", "portuguese", "spanish")
MMARCO = (*_BOTH, *_EUROPE, "chinese", "hindi", "vietnamese")


def json_lines(rows: Iterable[dict]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def packed(rows: Iterable[dict]) -> bytes:
    """Rows as JSON lines, packed by gzip."""
    return gzip.compress(json_lines(rows), 1, mtime=0)


def miracl(languages: Iterable[str] = ("sw", "hi", "yo")) -> Publication:
    """Two queries a split and three passages a shard; test parts have topics and no qrels."""
    judged = {"README.md": b"# judged", "miracl.py": b"", ".gitattributes": b""}
    corpus = {"README.md": b"# passages", "miracl-corpus.py": b""}
    for code in languages:
        name = f"miracl-v1.0-{code}"
        only_dev = code in ("de", "yo")
        for split in ("dev", "test-b") if only_dev else ("train", "dev", "test-a", "test-b"):
            judged[f"{name}/topics/topics.{name}-{split}.tsv"] = (
                f'1#0\t{code} {split}: who "built" it?\n2#0\t{code} {split}: when?\n'.encode()
            )
            if not split.startswith("test"):
                judged[f"{name}/qrels/qrels.{name}-{split}.tsv"] = (
                    b"1#0\tQ0\t10#0\t1\n1#0\tQ0\t10#1\t0\n2#0\tQ0\t10#2\t1\n"
                )
        for shard in range(MIRACL_FILES[code]):
            corpus[f"miracl-corpus-v1.0-{code}/docs-{shard}.jsonl.gz"] = packed(
                {
                    "docid": f"{10 + shard}#{n}",
                    "title": f"Title {n}",
                    "text": f"{code} text {shard} {n}",
                }
                for n in range(4)
            )
    return {"miracl/miracl": judged, "miracl/miracl-corpus": corpus}


def ciral() -> Publication:
    """The same ids stand for other queries in each language; test-b of Swahili lacks a topic.

    Some lines of the judgments of test-a end in tabs.
    """
    judged, corpus = {"README.md": b"# judged", "ciral.py": b""}, {"ciral-corpus.py": b""}
    for code, name in CIRAL.items():
        for split in ("dev", "test-a", "test-b"):
            # no line break at the end
            judged[f"ciral-{name}/topics/topics.ciral-v1.0-{code}-{split}.tsv"] = (
                f"4\tWhere do herders of {name} live ({split})?\n5\tWho leads {name} ({split})?"
            ).encode()
        for split in ("dev", "test-a", "test-a-pools", "test-b"):
            lines = ["4\tQ0\tNEWS#1#0\t1", "4\tQ0\tNEWS#1#1\t0", "5\tQ0\tNEWS#2#0\t1"]
            if (code, split) in (("ha", "test-a"), ("so", "test-a")):
                lines[1] += "\t\t"
            if split == "test-a-pools":
                lines += ["4\tQ0\tNEWS#3#0\t1", "5\tQ0\tNEWS#3#1\t0"]
            if (code, split) == ("sw", "test-b"):
                lines.append("23\tQ0\tNEWS#3#0\t1")
            judged[f"ciral-{name}/qrels/qrels.ciral-v1.0-{code}-{split}.tsv"] = (
                "\n".join(lines) + "\n"
            ).encode()
        for folder, word in (("passages-v1.0", code), ("translated-passages-v1.0", "translated")):
            corpus[f"{folder}/{name}_passages.jsonl"] = json_lines(
                {
                    "docid": f"NEWS#{a}#{b}",
                    "title": f"{word} title",
                    "text": f"{word} passage {a} {b}",
                    "url": f"https://news.example/{a}",
                }
                for a in (1, 2, 3, 4)
                for b in (0, 1)
            )
    return {"CIRAL/ciral": judged, "CIRAL/ciral-corpus": corpus}


def mr_tydi(languages: Iterable[str] = MR_TYDI) -> Publication:
    """Dev and test have ids without texts; train has texts, and one passage lacks its own."""
    judged = {"README.md": b"# judged", "mr-tydi.py": b"", "utils/local-mr-tydi.py": b""}
    corpus = {"README.md": b"# passages"}
    for name in languages:

        def passage(key: str, name: str = name) -> dict[str, str]:
            return {"docid": key, "title": f"Title {key}", "text": f"{name} text {key}"}

        def bare(key: str) -> dict[str, str]:
            return {"docid": key, "text": "", "title": ""}

        rows = {
            "train": [
                {
                    "query_id": "0",
                    "query": f"{name} train 0?",
                    "positive_passages": [passage("1#0")],
                    "negative_passages": [passage("2#0"), bare("2#1")],
                },
                {
                    "query_id": "1",
                    "query": f"{name} train 1?",
                    "positive_passages": [passage("1#1")],
                    "negative_passages": [],
                },
            ],
            **{
                split: [
                    {
                        "query_id": str(q),
                        "query": f"{name} {split} {q}?",
                        "positive_passages": [bare(f"3#{q}"), bare(f"4#{q}")],
                        "negative_passages": [],
                    }
                    for q in range(2)
                ]
                for split in ("dev", "test")
            },
        }
        for split, content in rows.items():
            folder = f"mrtydi-v1.1-{name}"
            judged[f"{folder}/{split}.jsonl.gz"] = packed(content)
            judged[f"{folder}/ir-format-data/topics.{split}.txt"] = "".join(
                f"{row['query_id']}\t{row['query']}\n" for row in content
            ).encode()
            judged[f"{folder}/ir-format-data/qrels.{split}.txt"] = "".join(
                f"{row['query_id']}\tQ0\t{p['docid']}\t1\n"
                for row in content
                for p in row["positive_passages"]
            ).encode()
        corpus[f"mrtydi-v1.1-{name}/corpus.jsonl.gz"] = packed(
            passage(f"{a}#{b}") for a in range(1, 6) for b in (0, 1)
        )
    judged["mrtydi-v1.1-combined/train.jsonl.gz"] = packed(
        {
            "query_id": f"{name}-0",
            "query": "combined?",
            "positive_passages": [{"docid": "9#9", "title": "", "text": "combined"}],
            "negative_passages": [],
        }
        for name in MR_TYDI
    )
    return {"castorini/mr-tydi": judged, "castorini/mr-tydi-corpus": corpus}


def neuclir() -> tuple[Publication, dict[str, bytes]]:
    """The documents on the hub, and topics and judgments by their paths at trec.nist.gov.

    Topic 3 is judged in no language, topic 2 in Russian alone in 2022.
    """
    documents = {"README.md": b"# news"}
    for code in ("fas", "rus", "zho"):
        for kind, word in ((code, code), (f"{code}-mt-eng", "translated")):
            documents[f"data/{kind}-00000-of-00001.jsonl.gz"] = packed(
                {
                    "id": f"{code}-{n}",
                    "cc_file": "crawl-data/news.warc.gz",
                    "time": "2020-01-01T00:00:00+00:00",
                    "title": f"{word} title {n}",
                    "text": f"{word} text {n}",
                    "url": f"https://news.example/{code}/{n}",
                }
                for n in range(5)
            )
    topics = json_lines(
        {
            "topic_id": str(n),
            "languages_with_qrels": [],
            "topics": [
                {
                    "lang": lang,
                    "source": source,
                    "topic_title": f"{lang} dams {n}",
                    "topic_description": f"Find {lang} dams {n}.",
                    "topic_narrative": "Not read.",
                }
                for lang, source in (
                    ("fas", "human translation"),
                    ("fas", "machine translation"),
                    ("eng", "original"),
                )
            ],
        }
        for n in (1, 2, 3)
    )
    judged = {
        "fas": ["1 {} fas-0 3", "1 {} fas-1 0"],
        "rus": ["1 {} rus-0 1", "2 {} rus-1 3", "2 {} rus-2 0"],
        "zho": ["1 {} zho-0 0", "1 {} zho-1 1"],
    }
    by_language = {
        code: "".join(line.format(0) + "\n" for line in [*lines, f"2 {{}} {code}-3 2"])
        for code, lines in judged.items()
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as out:
        for member, text in (
            ("qrels.final.gains", "".join(by_language.values())),
            *((f"qrels.final.gains.{code}", text) for code, text in by_language.items()),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(text.encode())
            out.addfile(info, io.BytesIO(text.encode()))
    return {"neuclir/neuclir1": documents}, {
        "/data/neuclir/2022/topics.0720.utf8.jsonl": topics,
        "/data/neuclir/2022/2022-qrels.all": "".join(
            line.format(code) + "\n" for code, lines in judged.items() for line in lines
        ).encode(),
        "/data/neuclir/2023/neuclir-2023-topics.0605.jsonl": topics,
        "/data/neuclir/2023/neuclir-2023-qrels.final.tar.gz": archive.getvalue(),
    }


def mmarco(languages: Iterable[str] = MMARCO, n_triples: int = 6) -> Publication:
    """Twelve passages and three queries; texts hold quotes, U+2028 and lone carriage returns."""
    files = {
        "README.md": b"# mMARCO",
        "mmarco.py": b"",
        "__pycache__/mmarco.cpython-36.pyc": b"\0",
        # query 0 is answered by 0, query 1 by 1; each triple has another negative
        "data/triples.train.ids.small.tsv": "".join(
            f"{n % 2}\t{n % 2}\t{2 + n}\n" for n in range(n_triples)
        ).encode(),
        "data/qrels.dev.small.tsv": b"2\t0\t10\t1\n",
        "data/qrels.dev.tsv": b"2\t0\t10\t1\n3\t0\t9\t1\n",
    }
    for kind in ("google", "helsinki"):
        for name in languages:
            word = f"{name} {kind}"
            files[f"data/{kind}/collections/{name}_collection.tsv"] = "".join(
                f'{n}\t"{word}" pas\u2028sage\r {n}\n' for n in range(12)
            ).encode()
            for path, ids in (
                ("train/{}_queries.train.tsv", (0, 1)),
                ("dev/{}_queries.dev.small.tsv", (2,)),
                ("dev/{}_queries.dev.tsv", (2, 3)),
            ):
                files[f"data/{kind}/queries/{path.format(name)}"] = "".join(
                    f"{n}\t{word} query {n}\n" for n in ids
                ).encode()
            files[f"data/{kind}/runs/run.bm25_{name}-msmarco.txt"] = b"2\t10\t1\n"
    return {"unicamp-dl/mmarco": files}


def large_table(n_bytes: int, first: int = 0) -> Iterator[bytes]:
    """Lines `id<TAB>text` of a table of about so many bytes."""
    text = "words " * 60
    line = len(text) + 9
    for n in range(first, first + n_bytes // line):
        yield f"{n}\t{text}\n".encode()
