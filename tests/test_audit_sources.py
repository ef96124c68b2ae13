"""The audit reads every source, saves its advice, asks in every language, refuses bad input."""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import databases
from mixling.auditing import verdict
from mixling.auditing.audit import audit
from mixling.auditing.translated import open_translator
from mixling.debiasing.files import load_transform
from mixling.errors import MixlingError, Skipped
from mixling.repairing.repair import repair
from test_audit import CODES, PlantedEncoder, documents

GROUPS = 120


def planted(bias=1.2, groups=GROUPS):
    """Vectors, texts and languages of texts whose first word is their meaning."""
    texts = [f"g{g} {code}" for g in range(groups) for code in CODES]
    languages = CODES * groups
    vectors = PlantedEncoder(bias, 0.3).encode(texts, "passage", languages=languages)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), texts, languages


@pytest.fixture(params=databases.KINDS)
def filled(request, tmp_path):
    return databases.fill(request, tmp_path, planted())


def test_every_kind_of_database_gives_the_same_audit(filled):
    result = audit(filled)
    assert result.source_type == "vectors" and result.passages == GROUPS * len(CODES)
    assert result.languages == dict.fromkeys(sorted(CODES), GROUPS)
    assert result.translations == "found" and result.verdict.candidate is not None
    assert result.measures["same_language_share@10"] > 0.5
    assert result.measures["loss"] > 0.05


def with_payload(path, name="docs"):
    """A LanceDB table whose rows state their meaning and a title under names of their own."""
    import lancedb

    vectors, texts, languages = planted()
    table = databases.table(vectors.astype(np.float32), texts, languages)
    table = table.append_column("meaning", pa.array([x.split()[0] for x in texts]))
    table = table.append_column("headline", pa.array([f"{x} headline" for x in texts]))
    path.mkdir()
    lancedb.connect(str(path)).create_table(name, table)
    return f"lancedb:{path}#{name}"


def test_audit_repair_and_audit_again(run, tmp_path):
    address, out = with_payload(tmp_path / "db"), tmp_path / "audit"
    options = ("--group-field", "meaning")
    status, text, err = run("audit", address, "--out", out, *options)
    assert status == 0, err
    before = json.loads((out / "audit.json").read_text())
    assert before["verdict"]["decision"] == verdict.TRANSFORM and before["translations"] == "given"
    assert f"mixling repair ADDRESS --transform {out / 'transform'}" in text
    assert load_transform(str(out / "transform")).dimensions == 48
    repair(address, str(out / "transform"), switch=True, state=tmp_path / "state")
    after = audit(address, fields={"group": "meaning"})
    gained = after.measures["mrr_pool"] - before["measures"]["mrr_pool"]
    assert gained >= before["verdict"]["gain_low"] > 0.02
    assert after.measures["loss"] < 0.5 * before["measures"]["loss"]
    assert after.verdict.decision == verdict.NOTHING and after.transform is None


def test_no_transform_is_written_where_none_is_advised(run, tmp_path):
    path = tmp_path / "v.parquet"
    vectors, texts, languages = planted(0.0)
    databases.fill_parquet(path, vectors.astype(np.float32), texts, languages)
    out = tmp_path / "out"
    assert run("audit", path, "--out", out)[0] == 0
    assert sorted(x.name for x in out.iterdir()) == ["audit.html", "audit.json"]


def test_fields_are_read_by_the_names_that_are_given(tmp_path):
    address = with_payload(tmp_path / "db")
    result = audit(
        address, PlantedEncoder(1.2, 0.3), fields={"group": "meaning", "title": "headline"}
    )
    assert result.translations == "given" and result.query_type == "title"
    with pytest.raises(MixlingError, match=r"no field 'nope'\. Their fields are: .*meaning"):
        audit(address, fields={"group": "nope"})
    path = tmp_path / "v.parquet"
    vectors, texts, languages = planted()
    table = {"vector": list(vectors), "lang": languages, "g": [x.split()[0] for x in texts]}
    pq.write_table(pa.table(table), path)
    fields = {"language": "lang", "group": "g"}
    assert audit(path, fields=fields).translations == "given"
    with pytest.raises(
        MixlingError, match=r"no column 'h' for group\. Its columns are: g, lang, vector"
    ):
        audit(path, fields={**fields, "group": "h"})
    with pytest.raises(MixlingError, match="--title-field works with databases"):
        audit(documents(tmp_path / "d.jsonl", 2), PlantedEncoder(0), fields={"title": "x"})


def test_titles_are_asked_in_every_language(tmp_path):
    path = documents(tmp_path / "d.jsonl", 120, with_groups=False, parallel=False)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    # the meaning of a planted text is its first word; its translation keeps it
    translations = tmp_path / "translations.jsonl"
    translations.write_text(
        "\n".join(
            json.dumps({"text": x["title"], "translations": dict.fromkeys(CODES, x["title"] + "!")})
            for x in rows
        )
    )
    alone = audit(path, PlantedEncoder(1.2))
    asked = audit(path, PlantedEncoder(1.2), translate=str(translations))
    assert alone.verdict.decision == verdict.NOTHING
    first = next(x for x in asked.known_items if x.scope == "other language")
    assert first.name == "translated title" and first.loss_low > 0
    assert asked.measures["loss"] > alone.measures["loss"] + 0.02
    assert asked.verdict.candidate is not None
    table = tmp_path / "translations.tsv"
    table.write_text("".join(f"{x['title']}\t{c}\t{x['title']}!\n" for x in rows for c in CODES))
    assert audit(path, PlantedEncoder(1.2), translate=str(table)).measures == asked.measures
    program = (
        f"{sys.executable} -c \"import sys;[print(x[:-1]+'!') for x in sys.stdin]\" {{target}}"
    )
    by_program = audit(path, PlantedEncoder(1.2), translate=program)
    assert by_program.measures == asked.measures


def test_translations_that_cannot_be_used(tmp_path):
    path = documents(tmp_path / "d.jsonl", 2)
    with pytest.raises(MixlingError, match="neither an existing file nor a command"):
        audit(path, PlantedEncoder(0), translate="none.tsv")
    bad = tmp_path / "bad.tsv"
    bad.write_text("a\tb\n")
    with pytest.raises(MixlingError, match="expected three columns: text, language, translation"):
        open_translator(str(bad), Skipped(True))
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"text": "a", "translations": {}}\n')
    with pytest.raises(MixlingError, match="holds no translations"):
        open_translator(str(empty), Skipped(True))
    other = tmp_path / "other.tsv"
    other.write_text("nothing of this\tde\tnichts davon\n")
    path = documents(tmp_path / "e.jsonl", 120)
    with pytest.raises(MixlingError, match="has no translation of any title of the sample"):
        audit(path, PlantedEncoder(0), translate=str(other))
    vectors, texts, languages = planted(groups=40)
    index = tmp_path / "v.parquet"
    databases.fill_parquet(index, vectors.astype(np.float32), texts, languages)
    with pytest.raises(MixlingError, match="--translate needs texts and a model"):
        audit(index, translate=str(other))


@pytest.mark.parametrize(
    ("table", "options", "error"),
    [
        ({"vector": pa.array([], pa.list_(pa.float32())), "language": pa.array([], pa.string())},
         (), "holds no passages"),
        ({"vector": [[1.0, float("nan")]], "language": ["en"]}, (), "NaN"),
        ({"vector": [[1.0], [1.0, 2.0]], "language": ["en", "en"]}, (), "2 numbers"),
        ({"vector": [[1.0]], "language": ["xx-nonsense"]}, (), "xx-nonsense"),
        ({"vector": [[1.0]]}, (), "neither a column 'language' nor a column 'text'"),
        ({"vector": [[1.0]]}, ("--language", "nonsense-xx"), "nonsense-xx"),
        ({"vector": [[1.0]], "language": ["en"]}, ("--group-field", "g"), "no column 'g'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_error_and_writes_nothing(run, tmp_path, table, options, error):
    path, out = tmp_path / "v.parquet", tmp_path / "out"
    pq.write_table(pa.table(table), path)
    status, _, err = run("audit", path, "--out", out, *options)
    assert status == 2 and error in err and "Traceback" not in err
    assert not out.exists()


def test_databases_that_cannot_be_audited(run, tmp_path):
    import lancedb

    database = lancedb.connect(str(tmp_path / "db"))
    fields = [("id", pa.string()), ("language", pa.string()), ("vector", pa.list_(pa.float32(), 2))]
    schema = pa.schema(fields)
    database.create_table("empty", schema=schema)
    rows = {"id": ["a", "b"], "language": ["en", "de"], "vector": [[1.0, 2.0], [1.0, float("nan")]]}
    database.create_table("nan", pa.table(rows, schema=schema), on_bad_vectors="null")
    for name, error in (("empty", "holds no rows"), ("nan", "'b'"), ("absent", "absent")):
        out = tmp_path / "out"
        status, _, err = run("audit", f"lancedb:{tmp_path / 'db'}#{name}", "--out", out)
        assert status == 2 and error in err and "Traceback" not in err, (name, err)
        assert not out.exists()


def test_a_database_of_another_model_is_refused(tmp_path):
    class Wider(PlantedEncoder):
        def encode(self, *arguments, **options):
            return np.pad(super().encode(*arguments, **options), ((0, 0), (0, 1)))

    address = with_payload(tmp_path / "db")
    with pytest.raises(MixlingError, match="have 48 numbers, but planted makes vectors of 49"):
        audit(address, Wider(1.0), fields={"title": "headline", "group": "meaning"})
