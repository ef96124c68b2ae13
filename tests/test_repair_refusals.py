"""What cannot be repaired is one clear error in every kind of database, and nothing is written."""

import contextlib
import gc
import subprocess
import time

import numpy as np
import pytest

import databases
from databases import rows
from mixling.connectors.registry import open_connector
from mixling.errors import MixlingError
from mixling.repairing.repair import repair, try_transform, undo
from mixling.transforms.files import write_transform
from mixling.transforms.transforms import AffineTransform, LanguageTransform

N, DIM = 60, 8


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Keep the progress below the test's folder."""
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def affine(tmp_path):
    """The folder of an affine transform."""
    folder = tmp_path / "affine"
    folder.mkdir()
    write_transform(
        AffineTransform(np.eye(DIM, dtype="f4")[::-1].copy(), np.ones(DIM, "f4")), folder
    )
    return str(folder)


@pytest.fixture
def centering(tmp_path):
    """The folder of a transform by language."""
    folder = tmp_path / "centering"
    folder.mkdir()
    offset = np.ones((2, 2, DIM), "f4") / 5
    write_transform(LanguageTransform(("en", "sw"), offset, np.zeros((2, 0, DIM), "f4")), folder)
    return str(folder)


@pytest.fixture(params=databases.KINDS)
def filled(request, tmp_path):
    """The address of a database with N rows."""
    return databases.fill(request, tmp_path, rows(N))


def raw(address):
    """Return the bytes of each id's vector."""
    with contextlib.closing(open_connector(address)) as connector:
        return {
            x: v.tobytes()
            for b in connector.iter_batches()
            for x, v in zip(b.ids, b.vectors, strict=True)
        }


def assert_refused(address, transform, message):
    """Check that a repair is one error and leaves no copy and no progress."""
    with pytest.raises(MixlingError, match=message):
        repair(address, transform, batch_size=10)
    with pytest.raises(MixlingError, match=r"no copy|holds no"):
        undo(address, transform)


@pytest.mark.parametrize("kind", databases.KINDS)
def test_nan_is_refused_by_its_row_or_by_the_database_itself(kind, request, affine, tmp_path):
    vectors, texts, languages = rows(N)
    vectors[37, 2] = np.nan
    request.param = kind
    if kind != "parquet":  # the others take none, so that they hold none
        with pytest.raises(Exception, match=r"(?i)\bnans?\b"):
            databases.fill(request, tmp_path, (vectors, texts, languages))
        return
    address = databases.fill(request, tmp_path, (vectors, texts, languages))
    assert_refused(address, affine, "row 'd37'.* holds NaN")
    assert not list(tmp_path.glob("*.mixling-*"))


@pytest.mark.parametrize("kind", databases.KINDS)
def test_an_empty_collection_is_refused(kind, request, affine, tmp_path):
    request.param = kind
    address = databases.fill(request, tmp_path, rows(0, DIM))
    for run in (repair, try_transform):
        with pytest.raises(MixlingError, match=r"holds? no (rows|vectors)"):
            run(address, affine)
    with pytest.raises(MixlingError, match="no copy"):
        undo(address, affine)


@pytest.mark.parametrize("kind", databases.KINDS)
def test_a_language_that_is_none_is_refused_by_its_row(kind, request, centering, tmp_path):
    vectors, texts, languages = rows(N)
    languages[37] = "no language!"
    request.param = kind
    address = databases.fill(request, tmp_path, (vectors, texts, languages))
    before = raw(address)
    assert_refused(address, centering, "'language': found 'no language!'")
    assert raw(address) == before
    other = f"{address}{'&' if '?' in address else '?'}language=nothing"
    assert_refused(other, centering, r"no field 'nothing' for language|found None")


@pytest.mark.parametrize("kind", ["postgresql", "parquet"])
def test_vectors_of_two_sizes_are_refused_by_their_row(kind, request, affine, tmp_path):
    """Other databases take vectors of one size alone."""
    request.param = kind
    address = databases.fill(request, tmp_path, rows(N))
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(address)
        values = table["vector"].to_pylist()
        values[37] = [1.0, 2.0]
        column = pa.array(values, pa.list_(pa.float32()))
        pq.write_table(table.set_column(1, "vector", column), address)
        assert_refused(address, affine, "row 38 has 2 numbers, but the other vectors have 8")
        return
    import psycopg

    base, _, rest = address.partition("&table=")
    table = rest.partition("&")[0]
    with psycopg.connect(base) as connection:
        connection.execute(f"DROP INDEX {table}_embedding_idx")
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN embedding TYPE vector")
        connection.execute(f"UPDATE {table} SET embedding = '[1,2]' WHERE id = 37")
    assert_refused(address, affine, "row 37 has 2 numbers, but the other vectors have 8")


@pytest.mark.parametrize("kind", ["lancedb", "postgresql"])
def test_rows_without_an_id_are_refused(kind, request, affine, tmp_path):
    """In other databases each row has one; a row of Parquet without one has its place."""
    request.param = kind
    address = databases.fill(request, tmp_path, rows(N))
    if kind == "lancedb":
        import lancedb

        lancedb.connect(str(tmp_path / "lance")).open_table("docs").drop_columns(["id"])
        assert_refused(address, affine, r"no column of ids\. Add \?id=COLUMN")
        return
    import psycopg

    base, _, rest = address.partition("&table=")
    table = rest.partition("&")[0]
    with psycopg.connect(base) as connection:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    with pytest.raises(MixlingError, match=r"no primary key of one column\. Add \?id=COLUMN"):
        repair(address, affine)
    with pytest.raises(MixlingError, match="column 'text' is not unique"):
        repair(f"{address}&id=text", affine)


@pytest.mark.parametrize("kind", ["parquet", "lancedb", "chroma", "qdrant"])
def test_a_read_only_disk_is_one_error(kind, request, affine, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        request.param = kind
        address = databases.fill(request, place, rows(N))
        names = sorted(str(x) for x in place.rglob("*"))
        remount = ["mount", "-o", "remount,ro", str(place)]
        for _ in range(100):  # a database may still close its files
            gc.collect()
            if not subprocess.run(remount, capture_output=True).returncode:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the disk stays busy")
        with pytest.raises(MixlingError, match=r"(?i)read-?only"):
            repair(address, affine)
        assert sorted(str(x) for x in place.rglob("*")) == names
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


BAD_ADDRESSES = [
    ("redis://x/y", "kind of address is unknown"),
    ("qdrant://host", "Expected qdrant://host:port/collection"),
    ("qdrant://127.0.0.1:1/docs", "no Qdrant server answers"),
    ("chroma://127.0.0.1:1/docs", "no Chroma server answers"),
    ("milvus:folder#docs", "Expected milvus://host:port/collection"),
    ("lancedb:nowhere#docs", "the folder nowhere does not exist"),
    ("postgresql://a:secret@127.0.0.1:1/db", "names no table or no column"),
    ("postgresql://a:secret@127.0.0.1:1/db?table=t&column=c", "no PostgreSQL server answers"),
    ("nowhere.parquet", "file or folder does not exist"),
]


@pytest.mark.parametrize(("address", "message"), BAD_ADDRESSES)
def test_an_address_that_leads_nowhere_is_one_error_without_its_password(address, message, affine):
    with pytest.raises(MixlingError, match=message) as error:
        repair(address, affine)
    assert "secret" not in str(error.value)


def test_a_transform_of_another_size_or_a_missing_collection_is_refused(filled, tmp_path, affine):
    folder = tmp_path / "small"
    folder.mkdir()
    write_transform(AffineTransform(np.eye(4, dtype="f4"), np.zeros(4, "f4")), folder)
    before = raw(filled)
    with pytest.raises(MixlingError, match=r"have 8 numbers, but the transform is for 4"):
        repair(filled, str(folder))
    if not filled.endswith(".parquet"):
        other = filled.replace("column=embedding", "column=nowhere")
        if other == filled:
            other = filled + "x"
        with pytest.raises(MixlingError, match=r"no (collection|table|column) '.*'\. Its"):
            repair(other, affine)
    assert raw(filled) == before
    with pytest.raises(MixlingError, match="no copy"):
        undo(filled, affine)


def test_no_permission_and_a_read_only_database_are_one_error(postgres, affine):
    import psycopg

    address = databases.fill_postgres(postgres, *rows(40), table="guarded")
    with psycopg.connect(postgres) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON guarded TO reader")
    host = postgres.partition("host=")[2]
    reader = f"postgresql://reader@/postgres?host={host}&table=guarded&column=embedding"
    assert try_transform(reader, affine).rows == 40
    with pytest.raises(MixlingError, match="must be owner of table guarded"):
        repair(reader, affine)
    read_only = address.replace("?", "?options=-c%20default_transaction_read_only%3Don&")
    with pytest.raises(MixlingError, match="read-only transaction"):
        repair(read_only, affine)
    with pytest.raises(MixlingError, match="no copy"):
        undo(address, affine)


def test_ids_that_repeat_and_a_store_of_mixling_are_refused(affine, tmp_path):
    vectors, texts, languages = rows(20)
    address = databases.fill_lance(tmp_path / "twice", vectors, texts, languages)
    import lancedb

    lancedb.connect(str(tmp_path / "twice")).open_table("docs").add(
        databases.table(vectors[:2], texts[:2], languages[:2])
    )
    with pytest.raises(MixlingError, match="2 rows have the same id as another"):
        repair(address, affine)
    with pytest.raises(MixlingError, match="no copy"):
        undo(address, affine)
    store = tmp_path / "store"
    databases.fill_lance(store, vectors, texts, languages, name="passages")
    (store / "mixling.json").write_text("{}")
    for place in (str(store), f"lancedb:{store}#passages"):
        assert_refused(place, affine, "repair_store")


def test_a_store_of_mixling_on_a_server_is_refused(affine, milvus_server):
    from mixling.searching.stores import open_or_create_store
    from test_stores import table

    address = f"{milvus_server}/our_store"
    store = open_or_create_store(address, DIM, {"model": "m", "dimensions": DIM})
    documents = [f"d{i}" for i in range(20)]
    store.replace(documents, table(documents)[0])
    assert_refused(address, affine, "repair_store")
