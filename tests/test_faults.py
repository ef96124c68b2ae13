"""A user's folder with each of these faults: one clear error, or a count.

Never silence, never a traceback.
"""

import json

import pytest


def row(key, text="some words", language="en", **more):
    return {"_id": key, "text": text, "language": language, **more}


def folder(path, corpus, queries, qrels="query-id\tcorpus-id\tscore\nq1\td1\t1\n", split="test"):
    path.mkdir()
    for name, rows in (("corpus", corpus), ("queries", queries)):
        if rows is not None:
            lines = (r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows)
            (path / f"{name}.jsonl").write_text(
                "".join(line + "\n" for line in lines), encoding="utf-8"
            )
    if qrels is not None:
        (path / "qrels").mkdir()
        (path / "qrels" / f"{split}.tsv").write_text(qrels, encoding="utf-8")
    return path


GOOD = [row("d1", "the lake is deep"), row("d2", "das Haus ist alt", "de")]
ASK = [row("q1", "how deep is the lake?")]
FAULTS = {
    "an unknown language tag": (
        [row("d1", language="klingonish")],
        ASK,
        None,
        r"corpus.jsonl:1: field 'language'.*BCP-47",
    ),
    "no language at all": (
        [{"_id": "d1", "text": "words"}],
        ASK,
        None,
        r"corpus.jsonl:1: field 'language'.*`language`",
    ),
    "a query without an id": (
        GOOD,
        [{"text": "how?", "language": "en"}],
        None,
        r"queries.jsonl:1: field '_id'",
    ),
    "the same passage id twice": (
        [*GOOD, row("d1", "again")],
        ASK,
        None,
        r"corpus.jsonl:3: field '_id'.*not used before",
    ),
    "the same query id twice": (
        GOOD,
        [*ASK, *ASK],
        None,
        r"queries.jsonl:2: field '_id'.*not used before",
    ),
    "an empty text": ([row("d1", " ")], ASK, None, r"corpus.jsonl:1: field 'text'.*not empty"),
    "an empty corpus": ([], ASK, None, r"qrels/test.tsv:2: field 'corpus-id'.*_id of corpus.jsonl"),
    "no corpus": (None, ASK, None, r"corpus.jsonl or corpus.parquet is missing"),
    "a line that is not JSON": ([*GOOD, "{broken"], ASK, None, r"corpus.jsonl:3: field 'json'"),
    "a judgement of an unknown query": (
        GOOD,
        ASK,
        "q9\td1\t1\n",
        r"qrels/test.tsv:1: field 'query-id'.*'q9'",
    ),
    "a judgement with two columns": (
        GOOD,
        ASK,
        "q1\td1\n",
        r"qrels/test.tsv:1: field 'line'.*three columns",
    ),
    "a grade that is no number": (
        GOOD,
        ASK,
        "q1\td1\tgood\n",
        r"qrels/test.tsv:1: field 'score'.*a number",
    ),
    "nothing judged relevant": (GOOD, ASK, "q1\td1\t0\n", r"no query is linked to a passage"),
    "judgements missing": (
        GOOD,
        ASK,
        "",
        r"not a task. Expected corpus.jsonl, queries.jsonl and qrels",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_with_a_fault(fault, chain, tmp_path, run):
    import re

    corpus, queries, qrels, expected = FAULTS[fault]
    path = folder(
        tmp_path / "mine", corpus, queries, **({} if qrels is None else {"qrels": qrels or None})
    )
    status, _, err = run("evaluate", chain, "--task", path)
    assert status == 2 and re.search(expected, err, re.S), err
    assert "Traceback" not in err and err.count("mixling:") == 1


def test_questions_without_a_relevant_candidate_are_counted(chain, tmp_path, run):
    from mixling.evaluation.result import EvaluationResult

    path = folder(tmp_path / "mine", GOOD, [*ASK, row("q2", "who asks?")])
    status, out, err = run("evaluate", chain, "--task", path, "--out", tmp_path / "out")
    assert status == 0, err
    assert "skipped: 1 queries without an answer" in out
    entry = EvaluationResult.load(tmp_path / "out").summary["tasks"]["mine"]
    assert entry["skipped"]["queries without an answer"] == 1 and entry["queries"] == 1


def test_settings_that_the_data_cannot_have_are_said(chain, tmp_path, run):
    path = folder(tmp_path / "mine", [row("d1", "der See ist tief", "de")], ASK)
    status, out, _ = run("evaluate", chain, "--task", path)
    assert status == 0
    assert (
        "cross-lingual" in out
        and "no monolingual: no query has an answer in its own language" in out
    )
