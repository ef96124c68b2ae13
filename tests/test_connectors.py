"""Vectors are read from every kind of database as they were written. The databases are real."""

import numpy as np
import pytest

import databases
from databases import rows
from mixling.connectors.registry import open_connector

N = 250


@pytest.fixture(params=databases.KINDS)
def filled(request, tmp_path):
    """The address of a database with N rows."""
    return databases.fill(request, tmp_path, rows(N))


def test_all_rows_are_read_once_with_text_and_language(filled):
    vectors, texts, languages = rows(N)
    connector = open_connector(filled)
    description = connector.describe()
    assert (description.count, description.dimensions) == (N, 8)
    assert description.text_field in ("text", "document")
    assert description.language_field == "language"
    batches = list(connector.iter_batches(100, with_texts=True))
    assert sum(map(len, batches)) == N and len(batches) > 1
    found = {
        t: (v, x) for b in batches for t, v, x in zip(b.texts, b.vectors, b.languages, strict=True)
    }
    assert set(found) == set(texts)
    tolerance = 1e-3 if description.number_format == "float16" else 1e-6
    for text, vector, language in zip(texts, vectors, languages, strict=True):
        assert np.abs(found[text][0] - vector).max() < tolerance
        assert found[text][1] == language
    assert len({x for b in batches for x in b.ids}) == N
    connector.close()


def test_a_sample_is_drawn_by_its_seed(filled):
    connector = open_connector(filled)
    first, again, other = (connector.sample(40, seed) for seed in (0, 0, 1))
    assert len(first) == 40 == len(set(first.ids))
    assert first.ids == again.ids and set(first.ids) != set(other.ids)
    assert np.array_equal(first.vectors, again.vectors)
    assert len(connector.sample(10 * N)) == N
    connector.close()
