"""Vectors are repaired in every kind of database: nothing lost or doubled, and a way back."""

import signal
import sqlite3
import time

import numpy as np
import pytest

import databases
from databases import rows
from mixling.connectors.registry import open_connector
from mixling.debiasing.files import load_transform
from mixling.errors import MixlingError
from mixling.repairing.repair import repair, try_transform, undo
from mixling.transforms.chain import ChainedTransform
from mixling.transforms.files import write_transform
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import AffineTransform, LanguageTransform

N, DIM = 200, 8


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Keep the progress below the test's folder."""
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def affine(tmp_path):
    """The folder of an affine transform."""
    rng = np.random.default_rng(3)
    matrix, _ = np.linalg.qr(rng.normal(size=(DIM, DIM)))
    bias = rng.normal(size=DIM) / 5
    folder = tmp_path / "affine"
    folder.mkdir()
    write_transform(AffineTransform(matrix.astype("f4"), bias.astype("f4")), folder)
    return str(folder)


@pytest.fixture
def centering(tmp_path):
    """The folder of a transform by language."""
    rng = np.random.default_rng(4)
    offset = rng.normal(size=(2, 2, DIM)).astype("f4") / 5
    folder = tmp_path / "centering"
    folder.mkdir()
    write_transform(LanguageTransform(("en", "sw"), offset, np.zeros((2, 0, DIM), "f4")), folder)
    return str(folder)


@pytest.fixture(params=databases.KINDS)
def filled(request, tmp_path):
    """The address of a database with N rows."""
    return databases.fill(request, tmp_path, rows(N))


def contents(address):
    """Return the vector of each text, and check that no id comes twice."""
    connector = open_connector(address)
    try:
        batches = list(connector.iter_batches(with_texts=True))
    finally:
        connector.close()
    ids = [x for b in batches for x in b.ids]
    assert len(ids) == len(set(ids))
    return {t: v for b in batches for t, v in zip(b.texts, b.vectors, strict=True)}


def open_and_describe(address):
    connector = open_connector(address)
    try:
        return connector.describe()
    finally:
        connector.close()


def live(address):
    """Return the address that an application reads after a switch."""
    return address + "_current" if address.startswith("qdrant") else address


def assert_near(found, expected, tolerance):
    assert set(found) == set(expected)
    for text, vector in expected.items():
        assert np.abs(found[text] - vector).max() < tolerance, text


def recorded(folder):
    """Count the rows that a running repair has recorded."""
    for path in folder.rglob("*.sqlite"):
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return base.execute("SELECT count(*) FROM rows").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
        finally:
            base.close()
    return 0


def killed_at(forks, address, transform, folder, number):
    """Run a repair and kill it once it has recorded so many rows; return how many it had."""
    code = (
        "import sys; from mixling.repairing.repair import repair; "
        "repair(*sys.argv[1:3], batch_size=4, state=sys.argv[3])"
    )
    with forks.start(code, address, transform, folder) as process:
        while recorded(folder) < number and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return recorded(folder)


def test_a_repair_that_is_killed_loses_and_doubles_nothing_and_undo_restores(
    filled, affine, tmp_path, forks
):
    before = contents(filled)
    number_format = open_and_describe(filled).number_format
    transform = load_transform(affine)
    folder = tmp_path / "state"
    if not filled.endswith(".parquet"):
        number = int(np.random.default_rng().integers(1, N - 50))
        assert killed_at(forks, filled, affine, folder, number) < N
        assert contents(filled).keys() == before.keys()
    report = repair(filled, affine, state=folder)
    assert report.rows == N and report.since == 0
    again = repair(filled, affine, state=folder)
    assert (again.rows, again.written, again.removed) == (N, 0, 0)
    assert all(np.array_equal(v, before[t]) for t, v in contents(filled).items())
    assert repair(filled, affine, state=folder, switch=True).switched
    tolerance = 1e-5 if number_format == "float32" else 2e-3
    expected = {t: transform.transform(v[None])[0] for t, v in before.items()}
    assert_near(contents(live(filled)), expected, tolerance)
    with pytest.raises(MixlingError, match="repaired already"):
        repair(live(filled), affine, state=folder)
    undo(live(filled), state=folder)
    after = contents(live(filled))
    assert after.keys() == before.keys()
    assert all(after[t].tobytes() == v.tobytes() for t, v in before.items())
    undo(filled, affine, state=folder)
    with pytest.raises(MixlingError, match="no copy"):
        undo(filled, affine, state=folder)


def change(address, vectors):
    """Change a row, remove one, and add one, through the database's own client."""
    kind = address.partition(":")[0]
    if kind == "postgresql":
        import psycopg

        base, _, rest = address.partition("&table=")
        table = rest.partition("&")[0]
        with psycopg.connect(base) as connection:
            connection.execute(f"DELETE FROM {table} WHERE id = 3")
            connection.execute(
                f"UPDATE {table} SET embedding = %s WHERE id = 5", (str(vectors[0].tolist()),)
            )
            connection.execute(
                f"INSERT INTO {table} (id, text, language, embedding) VALUES (%s, 'new', 'de', %s)",
                (N, str(vectors[1].tolist())),
            )
    elif kind == "qdrant":
        from qdrant_client import QdrantClient, models

        folder, _, name = address[7:].partition("#")
        client = QdrantClient(path=folder)
        client.delete(name, models.PointIdsList(points=[3]))
        points = [(5, vectors[0], "text 5"), (N + 1, vectors[1], "new")]
        client.upsert(
            name,
            [
                models.PointStruct(id=i, vector=v.tolist(), payload={"text": t, "language": "de"})
                for i, v, t in points
            ],
        )
        client.close()
    elif kind == "lancedb":
        import lancedb

        folder, _, name = address[8:].partition("#")
        table = lancedb.connect(folder).open_table(name)
        table.delete("id IN ('d3', 'd5')")
        new = databases.table(vectors, ["text 5", "new"], ["de", "de"])
        table.add(new.set_column(0, "id", [["d5", f"d{N}"]]))
    elif kind == "milvus":
        from pymilvus import MilvusClient

        server, _, name = address[9:].partition("/")
        client = MilvusClient(uri=f"http://{server}")
        client.delete(name, ids=[3])
        client.upsert(
            name,
            [
                {"id": i, "text": t, "language": "de", "embedding": v.tolist()}
                for i, t, v in ((5, "text 5", vectors[0]), (N, "new", vectors[1]))
            ],
        )
        client.close()


def change_chroma(address, vectors):
    if "#" in address:
        base, _, name = address.partition("#")
    else:
        base, _, name = address.rpartition("/")
    client = databases.chroma_client(base)
    collection = client.get_collection(name)
    collection.delete(ids=["d3"])
    collection.upsert(
        ids=["d5", f"d{N}"],
        embeddings=vectors,
        documents=["text 5", "new"],
        metadatas=[{"language": "de"}] * 2,
    )
    client.close()


def test_a_second_pass_catches_up_with_rows_written_changed_and_removed(filled, affine, tmp_path):
    repair(filled, affine)
    vectors = rows(2, seed=9)[0]
    if filled.endswith(".parquet"):
        data = rows(N)
        data[0][5] = vectors[0]
        databases.fill_parquet(tmp_path / "v.parquet", *data)
    elif filled.startswith("chroma"):
        change_chroma(filled, vectors)
    else:
        change(filled, vectors)
    before = contents(filled)
    report = repair(filled, affine, switch=True)
    assert report.rows == N
    if not filled.endswith(".parquet"):
        # in PostgreSQL the copy is a column of the row that was removed
        assert report.written == 2 and report.removed == 1
        assert "new" in before and "text 3" not in before
    transform = load_transform(affine)
    expected = {t: transform.transform(v[None])[0] for t, v in before.items()}
    assert_near(contents(live(filled)), expected, 2e-3)


def raw(address):
    """Return the id and the vector's bytes of each row."""
    connector = open_connector(address)
    try:
        return {
            x: v.tobytes()
            for b in connector.iter_batches()
            for x, v in zip(b.ids, b.vectors, strict=True)
        }
    finally:
        connector.close()


def test_a_transform_by_language_reads_the_field_or_identifies_the_text(
    centering, affine, tmp_path
):
    vectors, texts, languages = rows(60)
    address = databases.fill_lance(tmp_path / "lance", vectors, texts, languages)
    before = contents(address)
    repair(address, centering, switch=True)
    transform = load_transform(centering)
    by_text = dict(zip(texts, languages, strict=True))
    expected = {t: transform.transform(v[None], [by_text[t]])[0] for t, v in before.items()}
    assert_near(contents(address), expected, 1e-5)
    # German is unknown to the transform and stays as it is
    assert np.allclose(contents(address)["text 2"], before["text 2"], atol=1e-6)
    # the same through identification, of rows without the field
    other = databases.fill_lance(tmp_path / "other", vectors, texts, [None] * 60)
    with pytest.raises(MixlingError, match="field 'language': found None"):
        repair(other, centering)
    with pytest.raises(MixlingError, match="no copy"):
        undo(other, centering)
    import pyarrow.parquet as pq

    table = databases.table(vectors, texts, languages).drop_columns(["language"])
    pq.write_table(table, tmp_path / "without.parquet")
    with pytest.raises(MixlingError, match="no field for it is known"):
        repair(str(tmp_path / "without.parquet"), centering)
    repair(other, centering, identify=by_text.__getitem__, switch=True)
    assert_near(contents(other), expected, 1e-5)


def test_vectors_keep_their_length_unless_asked(affine, tmp_path):
    vectors, texts, languages = rows(60)
    vectors *= np.linspace(0.5, 3, 60, dtype=np.float32)[:, None]
    vectors[7] = 0
    address = databases.fill_qdrant(tmp_path / "q", vectors, texts, languages, distance="Dot")
    report = try_transform(address, affine)
    assert "not normalized" in "\n".join(report.lines())
    repair(address, affine, switch=True)
    after = contents(address + "_current")
    lengths = np.array([np.linalg.norm(after[t]) for t in texts])
    assert np.allclose(lengths, np.linalg.norm(vectors, axis=1), atol=1e-5)
    undo(address)
    with pytest.raises(MixlingError, match="begun with other options"):
        repair(address, affine, normalize=True)
    undo(address, affine)
    repair(address, affine, normalize=True, switch=True)
    after = contents(address + "_current")
    assert sorted({round(float(np.linalg.norm(v)), 4) for v in after.values()}) == [0, 1]


def test_a_dry_run_reports_offsets_and_writes_nothing(filled, tmp_path, affine):
    vectors, _, languages = rows(N)
    means = np.stack([vectors[np.array(languages) == x].mean(0) for x in ("en", "sw")])
    offset = np.stack([means, means])
    folder = tmp_path / "fitted"
    folder.mkdir()
    write_transform(LanguageTransform(("en", "sw"), offset, np.zeros((2, 0, DIM), "f4")), folder)
    before = raw(filled)
    report = try_transform(filled, str(folder), sample=150)
    assert report.rows == 150 and set(report.offsets) == {"en", "sw", "de"}
    shares = report.language_share
    assert shares[1] < shares[0]
    assert f"{shares[0]:.1%} before" in "\n".join(report.lines())
    assert raw(filled) == before
    with pytest.raises(MixlingError, match="no copy"):
        undo(filled, affine)


def test_an_index_of_postgresql_is_built_for_the_shadow_and_required_stays_required(
    postgres, affine
):
    import psycopg

    address = databases.fill_postgres(postgres, *rows(N), table="indexed")
    repair(address, affine, switch=True)
    with psycopg.connect(postgres) as connection:
        found = [
            x[0]
            for x in connection.execute(
                "SELECT indexdef FROM pg_indexes WHERE tablename = 'indexed' ORDER BY 1"
            )
        ]
        assert sum("(embedding vector_cosine_ops) WITH (m='8')" in x for x in found) == 1
        # an application that knows one column can go on writing, and cannot leave it out
        vector = str([1.0] * DIM)
        connection.execute("INSERT INTO indexed VALUES (9999, 't', 'en', NULL, %s)", (vector,))
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute("INSERT INTO indexed (id) VALUES (10000)")


def test_a_switch_that_is_killed_in_its_middle_is_ended_or_taken_back(affine, tmp_path):
    data = rows(40)
    for end in ("switch", "undo"):
        address = databases.fill_lance(tmp_path / end, *data)
        before = raw(address)
        repair(address, affine)
        connector = open_connector(address)
        tag = repair_tag(affine)
        connector.rename("docs", connector.original_name(tag))
        if end == "switch":
            assert repair(address, affine, switch=True).written == 0
            assert raw(address) != before and raw(address).keys() == before.keys()
        undo(address)
        assert raw(address) == before


def repair_tag(transform):
    from mixling.repairing.apply import Application

    return Application(load_transform(transform)).tag


def test_the_command_repairs_switches_and_goes_back(affine, tmp_path, run):
    address = databases.fill_lance(tmp_path / "lance", *rows(30))
    before = raw(address)
    status, out, error = run("repair", address, "--transform", affine, "--dry-run")
    assert status == 0 and "variance between languages" in out, error
    status, out, error = run(
        "repair", address, "--transform", affine, "--language-field", "language"
    )
    assert status == 0 and "The copy holds 30 rows; 30 were written" in out, error
    status, out, error = run("repair", address, "--transform", affine, "--switch")
    assert status == 0 and "is the repaired copy" in out, error
    assert raw(address) != before
    status, out, error = run("repair", address, "--undo")
    assert status == 0 and "is the original again" in out, error
    assert raw(address) == before
    for arguments, message in (
        (["--switch", "--undo"], "--dry-run, --switch and --undo exclude each other"),
        ([], "no transform is given"),
    ):
        status, _, error = run("repair", address, *arguments)
        assert status == 2 and message in error


def test_a_hub_correction_makes_the_copys_vectors_longer_by_two_numbers(filled, tmp_path):
    rng = np.random.default_rng(6)
    references = rng.normal(size=(60, DIM)).astype("f4")
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    offset = rng.normal(size=(2, 3, DIM)).astype("f4") / 5
    centering = LanguageTransform(databases.LANGUAGES, offset, np.zeros((3, 0, DIM), "f4"))
    transform = ChainedTransform((centering, HubCorrection(references)))
    folder = tmp_path / "chain"
    folder.mkdir()
    write_transform(transform, folder)
    before = contents(filled)
    number_format = open_and_describe(filled).number_format
    assert "8 before, 10 after" in "\n".join(try_transform(filled, str(folder)).lines())
    repair(filled, str(folder), switch=True)
    assert open_and_describe(live(filled)).dimensions == DIM + 2
    languages = dict(zip(*rows(N)[1:], strict=True))
    found, tolerance = contents(live(filled)), 1e-6 if number_format == "float32" else 2e-3
    expected = {
        t: transform.transform(v[None], [languages[t]], "passage")[0] for t, v in before.items()
    }
    assert_near(found, expected, tolerance)
    undo(live(filled))
    assert open_and_describe(live(filled)).dimensions == DIM
    assert all(v.tobytes() == before[t].tobytes() for t, v in contents(live(filled)).items())
