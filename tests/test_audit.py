"""The audit without judgments, on collections whose bias is planted and therefore known."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.auditing import hubs, known_items, pool, thresholds, translations, verdict
from mixling.auditing.audit import audit
from mixling.auditing.collection import MIN_PRECISION
from mixling.auditing.queries import balanced_sample
from mixling.auditing.report import write_audit
from mixling.auditing.result import MEASURES
from mixling.errors import MixlingError
from mixling.transforms.transforms import normalize
from planted import CODES, DIM, PlantedEncoder, documents


def test_no_bias_is_nothing_to_do(tmp_path):
    result = audit(documents(tmp_path / "d.jsonl"), PlantedEncoder(0.0))
    assert result.verdict.decision == verdict.NOTHING
    assert abs(result.measures["loss"]) < 0.02 and result.measures["gain"] == 0
    assert abs(result.measures["same_language_excess@10"]) < 0.05
    assert abs(result.measures["same_language_advantage"]) < 0.1


@pytest.mark.parametrize("bias", [0.8, 1.5])
def test_planted_bias_flips_the_verdict_and_the_gain_is_what_the_repair_brings(tmp_path, bias):
    path = documents(tmp_path / "d.jsonl")
    biased = audit(path, PlantedEncoder(bias))
    assert biased.verdict.decision in (verdict.TRANSFORM, verdict.AT_QUERY_TIME)
    assert biased.measures["loss"] > 0.05 and biased.measures["same_language_excess@10"] > 0.2
    # without the bias the pool would be as good as `free`: a repair gives most of that back
    free = audit(path, PlantedEncoder(0.0))
    lost = free.measures["mrr_pool"] - biased.measures["mrr_pool"]
    assert 0.5 * lost < biased.verdict.gain < 1.2 * lost
    assert biased.verdict.gain_low <= biased.verdict.gain <= biased.verdict.gain_high
    best = next(t for t in biased.trials if t.candidate == biased.verdict.candidate)
    assert best.pooled > biased.measures["mrr_pool"] + 0.8 * best.gain  # in half the pool
    assert best.intrusion < biased.measures["intrusion@10"]


@settings(max_examples=15, deadline=None)
@given(
    strengths=st.lists(st.floats(0, 0.5), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_mean_scores_and_offsets_are_those_that_were_planted(strengths, seed):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    codes = ["a", "b", "c"]
    languages = np.repeat(codes, 400)
    content = np.concatenate([x - x.mean(0) for x in rng.standard_normal((3, 400, DIM)) * 0.1])
    vectors = content + np.repeat([s * axes[i] for i, s in enumerate(strengths)], 400, axis=0)
    means = {c: vectors[languages == c].mean(0) for c in codes}
    scores = hubs.mean_scores(vectors, languages, means, codes)
    for i, a in enumerate(codes):
        for b in codes:
            assert scores[a][b] == pytest.approx(strengths[i] ** 2 if a == b else 0, abs=1e-9)
        assert sum(hubs.language_offsets(scores)[a].values()) == pytest.approx(0, abs=1e-9)
    assert hubs.same_language_advantage(scores) == pytest.approx(np.mean(np.square(strengths)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), with_offsets=st.booleans())
def test_ranks_are_those_of_a_sort(seed, with_offsets):
    rng = np.random.default_rng(seed)
    n, codes = 40, np.array(["a", "b", "c"])
    vectors = rng.standard_normal((n, 6)).astype(np.float32)
    languages, groups = codes[rng.integers(0, 3, n)], rng.integers(0, 15, n)
    rows = rng.permutation(n)[:20]
    asks_itself = bool(rng.integers(2))
    queries = vectors[rows] if asks_itself else vectors[rows] + 1
    items = known_items.make_items("x", queries, rows, languages, groups, asks_itself)
    offsets = rng.standard_normal((len(np.unique(languages)), 6)).astype(np.float32)
    found = known_items.rank(
        items, vectors, languages, groups, offsets=offsets if with_offsets else None
    )
    for pair, (q, p) in enumerate(zip(items.query, items.passage, strict=True)):
        scores = items.vectors[q] @ vectors.T
        if with_offsets:
            own = np.searchsorted(np.unique(languages), languages)
            scores = scores - (offsets @ items.vectors[q])[own]
        wrong = (groups != items.groups[q]) & (np.arange(n) != items.excluded[q])
        above = wrong & (scores > scores[p])
        assert found.pooled[pair] == 1 + above.sum()
        assert found.alone[pair] == 1 + (above & (languages == languages[p])).sum()
    for q in range(len(items.vectors)):
        answers = items.passage[items.query == q]
        others = [p for p in answers if languages[p] != items.languages[q]]
        if not others:
            assert np.isnan(found.intrusion[q])
            continue
        scores = items.vectors[q] @ vectors.T
        if with_offsets:
            scores = scores - (offsets @ items.vectors[q])[own]
        allowed = [i for i in range(n) if groups[i] != items.groups[q] or i in answers]
        ranked = sorted((i for i in allowed if i != items.excluded[q]), key=lambda i: -scores[i])
        last = max(ranked.index(p) for p in others)
        wrong = [
            i
            for place, i in enumerate(ranked[:10])
            if i not in answers and languages[i] == items.languages[q] and place < last
        ]
        assert found.intrusion[q] == len(wrong) / 10


def test_hubs_are_found():
    rng = np.random.default_rng(0)
    queries = normalize(rng.standard_normal((400, DIM)) + 1)
    passages = normalize(rng.standard_normal((800, DIM)))
    passages[7] = normalize(np.ones((1, DIM)))[0]
    languages = np.array(["en", "de"] * 400)
    found = hubs.count_hubs(hubs.search(queries, passages, np.full(400, -1)), languages)
    assert found.top[0][0] == 7 and found.top[0][1] > 0.9
    assert found.skew > 2 * found.skew_at_random and found.unanswering > found.unanswering_at_random
    even = hubs.Found(rng.integers(0, 800, (400, 10)), 1.0)
    spread = hubs.count_hubs(even, languages)
    assert spread.skew == pytest.approx(spread.skew_at_random, abs=0.25)
    assert spread.unanswering == pytest.approx(spread.unanswering_at_random, abs=0.03)


def test_translations_are_found_and_their_precision_is_estimated():
    rng = np.random.default_rng(1)
    content = rng.standard_normal((150, DIM))
    for noise, least in ((0.3, 0.99), (0.9, 0.8), (1.2, 0), (1.6, 0.0)):
        vectors = normalize(
            np.concatenate([content + noise * rng.standard_normal((150, DIM)) for _ in range(3)])
        ).astype(np.float32)
        languages = np.repeat(["a", "b", "c"], 150)
        found = translations.find_translations(vectors, languages, ["a", "b", "c"], 1.05)
        right = np.mean(found.pairs[:, 0] % 150 == found.pairs[:, 1] % 150)
        assert right >= least
        if found.cycles >= translations.MIN_CYCLES and right >= 0.8:
            assert found.precision == pytest.approx(right, abs=0.1)
        else:  # wrong links that agree with each other are not seen; still too few to be used
            assert not found.precision >= MIN_PRECISION
    # two languages make no cycle over three
    two = translations.find_translations(vectors[:300], languages[:300], ["a", "b"], 1.05)
    assert two.cycles == 0 and np.isnan(two.precision)


def test_translations_that_nobody_named_are_used(tmp_path):
    result = audit(documents(tmp_path / "d.jsonl", with_groups=False), PlantedEncoder(1.2, 0.3))
    assert result.translations == "found" and result.found_translations["precision"] > 0.9
    assert result.verdict.decision in (verdict.TRANSFORM, verdict.AT_QUERY_TIME)
    assert any("found by the vectors" in note for note in result.notes)


def test_translations_of_single_sentences_are_found_by_whole_texts(tmp_path):
    """A second half tells less than the sentence: here nothing of what the sentence is about."""

    class Halves(PlantedEncoder):
        def encode(self, texts, role=None, *, languages=None, **more):
            named = [x if x.startswith("g") else f"half of {x}" for x in texts]
            return super().encode(named, role, languages=languages)

    rows = [
        {
            "_id": f"{g}-{code}",
            "text": f"g{g} one two three four five six {g}{code}",
            "language": code,
        }
        for g in range(150)
        for code in CODES
    ]
    path = tmp_path / "d.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    result = audit(path, Halves(1.2, 0.3))
    assert result.translations == "found" and result.found_translations["links"] > 500


def test_without_translations_a_bias_to_the_language_that_holds_the_answer_is_no_loss(tmp_path):
    path = documents(tmp_path / "d.jsonl", with_groups=False, parallel=False)
    result = audit(path, PlantedEncoder(1.2))
    assert result.translations == "none"
    assert result.verdict.decision == verdict.NOTHING
    assert any("No translations are known" in note for note in result.notes)


@pytest.mark.parametrize(
    ("groups", "codes", "reason"),
    [
        (150, ["en"], "one language has"),
        (60, CODES, "the sample has 60"),
        (20, CODES, "no language has"),
    ],
)
def test_too_few_texts_cannot_tell(tmp_path, groups, codes, reason):
    path = documents(tmp_path / "d.jsonl", groups, codes)
    result = audit(path, PlantedEncoder(1.0))
    assert result.verdict.decision == verdict.UNKNOWN and reason in result.verdict.reason
    assert result.measures["gain"] is None and not result.trials


def vectors_file(path, bias=1.2, groups=150, **columns):
    encoder = PlantedEncoder(bias)
    texts = [f"g{g} {code}" for g in range(groups) for code in CODES]
    languages = CODES * groups
    vectors = encoder.encode(texts, "passage", languages=languages)
    table = {
        "id": texts,
        "language": languages,
        "group": [t.split()[0] for t in texts],
        "vector": list(vectors),
        **columns,
    }
    pq.write_table(pa.table({k: v for k, v in table.items() if v is not None}), path)
    return path


def test_vectors_need_no_encoder(tmp_path):
    result = audit(vectors_file(tmp_path / "v.parquet"))
    assert result.model is None and result.query_type == "passage"
    assert {x.name for x in result.known_items} == {"translation"}
    assert result.verdict.decision in (verdict.TRANSFORM, verdict.AT_QUERY_TIME)
    without = audit(vectors_file(tmp_path / "w.parquet", bias=1.0, groups=40, group=None))
    assert without.verdict.decision == verdict.UNKNOWN


def test_a_vector_database_is_read_by_its_address(tmp_path):
    import lancedb

    table = pq.read_table(vectors_file(tmp_path / "v.parquet", bias=1.2, groups=120))
    column = table["vector"].combine_chunks()
    fixed = pa.FixedSizeListArray.from_arrays(column.flatten().cast(pa.float32()), DIM)
    table = table.set_column(table.column_names.index("vector"), "vector", fixed)
    lancedb.connect(tmp_path / "db").create_table("passages", table.drop_columns(["group"]))
    address = f"lancedb:{tmp_path / 'db'}#passages"
    result = audit(address)
    assert result.passages == 480 and result.languages == dict.fromkeys(CODES, 120)
    assert result.translations == "found"
    lancedb.connect(tmp_path / "db").create_table("bare", table.select(["id", "vector"]))
    with pytest.raises(MixlingError, match="no field for a language or a text"):
        audit(f"lancedb:{tmp_path / 'db'}#bare")


def test_an_audit_is_the_same_in_another_order_and_in_every_run(tmp_path):
    path = documents(tmp_path / "d.jsonl", 120)
    lines = path.read_text().splitlines()
    turned = tmp_path / "turned.jsonl"
    turned.write_text("\n".join(reversed(lines)))
    first, again, second = (
        {**audit(x, PlantedEncoder(1.0)).to_dict(), "source": ""} for x in (path, path, turned)
    )
    assert first == again
    assert first["verdict"] == second["verdict"] and first["languages"] == second["languages"]


@settings(max_examples=20, deadline=None)
@given(size=st.integers(5, 60), batch=st.integers(1, 50), seed=st.integers(0, 99))
def test_the_sample_keeps_groups_whole_and_ignores_the_order(size, batch, seed):
    rng = np.random.default_rng(seed)
    rows = [(f"{g}-{k}", f"g{g}", "en") for g in range(60) for k in range(g % 3 + 1)]
    samples = []
    for _ in range(2):
        sampler = pool.PoolSampler(size)
        order = rng.permutation(len(rows))
        for begin in range(0, len(rows), batch):
            part = [rows[i] for i in order[begin : begin + batch]]
            ids, groups, tags = (list(x) for x in zip(*part, strict=True))
            empty = [""] * len(ids)
            sampler.add(pool.Rows(ids, tags, groups, empty, empty, np.ones((len(ids), 2))))
            assert sampler._held <= 2 * size + batch
        assert sampler.counts == {"en": len(rows)}
        kept = sampler.sample()
        assert 0 < len(kept) <= size
        complete = {g: sum(x == g for _, x, _ in rows) for g in kept.groups}
        assert all(kept.groups.count(g) == n for g, n in complete.items())
        samples.append(set(kept.ids))
    assert samples[0] == samples[1]


def test_a_sample_takes_as_many_of_each_language_as_there_are():
    languages = np.array(["a"] * 100 + ["b"] * 5 + ["c"] * 50)
    chosen = languages[balanced_sample(languages, 45, ["a", "b", "c"])].tolist()
    assert {x: chosen.count(x) for x in "abc"} == {"a": 20, "b": 5, "c": 20}


def test_a_log_of_queries_is_used_for_what_is_found(tmp_path):
    path = documents(tmp_path / "d.jsonl", 120)
    log = tmp_path / "log.jsonl"
    log.write_text(
        "\n".join(json.dumps({"text": f"g{g} asked", "language": "sw"}) for g in range(50))
    )
    result = audit(path, PlantedEncoder(1.0), queries=log)
    assert result.query_type == "log" and result.queries == 50 and set(result.top_shares) == {"sw"}
    assert result.known_items[0].name == "title"
    assert result.measures["same_language_share@10"] > 0.5


def test_a_result_is_shown_in_a_line(tmp_path):
    result = audit(vectors_file(tmp_path / "v.parquet"))
    assert repr(result.verdict.decision) in repr(result) and len(repr(result)) < 300


def test_thresholds():
    measures = dict.fromkeys(MEASURES, 0.5)
    for text, fails in (
        ("loss > 0.2", True),
        ("intrusion@10>=0.5", True),
        ("gain < .5", False),
        ("hub_skew <= 1e3", True),
    ):
        assert thresholds.parse_threshold(text, list(MEASURES)).holds(measures) is fails
    for text in ("loss", "loss > many", "loss = 1", "loss > nan", "> 1", ""):
        with pytest.raises(MixlingError, match="MEASURE OPERATOR NUMBER"):
            thresholds.parse_threshold(text, list(MEASURES))
    with pytest.raises(
        MixlingError, match=r"unknown measure.*intrusion@10.*Expected one of: loss, "
    ):
        thresholds.parse_threshold("intrusion > 1", list(MEASURES))
    missing = thresholds.parse_threshold("gain > 0", list(MEASURES))
    with pytest.raises(MixlingError, match=r"gain could not be computed"):
        missing.holds({**measures, "gain": None})


def test_wrong_input(tmp_path):
    with pytest.raises(MixlingError, match=r"none\.jsonl: the file or folder does not exist"):
        audit(tmp_path / "none.jsonl", PlantedEncoder(0))
    path = documents(tmp_path / "d.jsonl", 2)
    with pytest.raises(MixlingError, match="needs the encoder"):
        audit(path)
    with pytest.raises(MixlingError, match="--queries takes a file"):
        audit(path, PlantedEncoder(0), queries=tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(MixlingError, match="holds no queries"):
        audit(path, PlantedEncoder(0), queries=tmp_path / "empty.txt")
    with pytest.raises(MixlingError, match="sample is 0 and pool is"):
        audit(path, PlantedEncoder(0), sample=0)
    vectors = vectors_file(tmp_path / "v.parquet")
    with pytest.raises(MixlingError, match="--queries gives texts, but no encoder"):
        audit(vectors, queries=documents(tmp_path / "q.jsonl", 2))
    (tmp_path / "no").mkdir()
    with pytest.raises(MixlingError, match=r"neither corpus\.jsonl nor files of"):
        audit(tmp_path / "no", PlantedEncoder(0))
    bad = tmp_path / "bad.parquet"
    for table, error in (
        ({"vector": [[1.0, 2.0]]}, "neither a column 'language' nor a column 'text'"),
        ({"vector": [[1.0, 2.0]], "language": ["xx-nonsense"]}, "language"),
        ({"vector": [[1.0, float("nan")]], "language": ["en"]}, "holds NaN"),
        ({"vector": [[1.0], [1.0, 2.0]], "language": ["en", "en"]}, "expected 1 numbers"),
        ({"vector": pa.array([], pa.list_(pa.float32())), "language": pa.array([], pa.string())},
         "holds no passages"),
    ):  # fmt: skip
        pq.write_table(pa.table(table), bad)
        with pytest.raises(MixlingError, match=error):
            audit(bad)


def test_vectors_of_another_model_are_refused(tmp_path):
    class Wider(PlantedEncoder):
        def encode(self, *arguments, **options):
            return np.pad(super().encode(*arguments, **options), ((0, 0), (0, 1)))

    body = "More words of the body here, many of them."
    texts = [f"g{g} {code}. {body}" for g in range(150) for code in CODES]
    path = vectors_file(tmp_path / "v.parquet", text=texts)
    with pytest.raises(MixlingError, match="have 48 numbers, but planted makes vectors of 49"):
        audit(path, Wider(1.0))


def write_sample(path):
    from mixling.corpora import sample

    rows = sample.read_sample("all").passages.to_pylist()
    path.write_text(
        "\n".join(
            json.dumps({k: row[k] for k in ("text", "language", "group")} | {"_id": row["id"]})
            for row in rows
        )
    )
    return path


def test_the_command_writes_a_report_and_fails_by_thresholds(run, chain, tmp_path):
    source, out = write_sample(tmp_path / "sample.jsonl"), tmp_path / "out"
    status, text, _ = run("audit", source, chain, "--out", out, "--precision", "fp32")
    assert status == 0 and text.startswith("Cannot tell. Too few known items: the sample has 44")
    result = json.loads((out / "audit.json").read_text())
    assert result["passages"] == 44 * 8 and result["query_type"] == "first sentence"
    assert result["verdict"]["decision"] == "cannot tell" and result["measures"]["gain"] is None
    html = (out / "audit.html").read_text()
    assert "Cannot tell" in html and "<script" not in html and 'src="http' not in html
    status, _, err = run("audit", source, chain, "--fail-if", "unanswering_share >= 0")
    assert status == 1 and err.startswith("the condition unanswering_share >= 0 holds")
    assert run("audit", source, chain, "--fail-if", "loss > 2")[0] == 0
    status, _, err = run("audit", source, chain, "--fail-if", "los > 2")
    assert status == 2 and "Did you mean 'loss'?" in err
    status, _, err = run("audit", source, chain, "--fail-if", "gain > 0")
    assert status == 2 and "could not be computed" in err


def test_the_report_fits_a_telephone_and_begins_with_the_verdict(tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    result = audit(documents(tmp_path / "d.jsonl"), PlantedEncoder(1.0))
    write_audit(result, tmp_path / "out")
    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for width in (390, 1100):
            page = browser.new_page(viewport={"width": width, "height": 900})
            errors = []
            page.on("console", lambda message, errors=errors: errors.append(message.text))
            page.goto((tmp_path / "out" / "audit.html").as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("h2").first.inner_text() == result.verdict.decision.capitalize()
            assert page.locator(".finding").bounding_box()["y"] < 300 and not errors
            assert page.locator("svg").count() == 2
        browser.close()


@pytest.mark.slow
def test_e5_prefers_the_language_of_the_query_on_the_sample(tmp_path):
    from mixling.models.weights import wheel_model_folder

    if not wheel_model_folder().exists():
        pytest.skip("multilingual-e5-small is not on this machine")
    result = audit(write_sample(tmp_path / "sample.jsonl"), "e5-small", precision="fp32")
    assert result.measures["same_language_excess@10"] > 0.1
    assert result.measures["same_language_advantage"] > 0
    across = next(x for x in result.known_items if x.scope == "other language")
    assert across.loss_low > 0 and result.verdict.decision == verdict.UNKNOWN


def test_a_store_names_its_model_and_another_one_is_refused(run, chain, plain, tmp_path):
    store = tmp_path / "store"
    source = write_sample(tmp_path / "sample.jsonl")
    assert run("index", chain, source, "--store", store, "--precision", "fp32")[0] == 0
    status, text, err = run("audit", store, "--precision", "fp32")
    assert status == 0, err
    assert "passages searched" in text and "note: The stored vectors may contain" in text
    status, _, err = run("audit", store, plain)
    assert status == 2 and "was made with" in err


def test_a_folder_of_encoded_vectors(run, chain, tmp_path):
    source = write_sample(tmp_path / "sample.jsonl")
    vectors = tmp_path / "vectors"
    assert run("encode", chain, source, "--out", vectors, "--precision", "fp32")[0] == 0
    status, text, err = run("audit", vectors)
    assert status == 0, err
    assert "352 passages" in text and "passages themselves" in text


def test_the_transform_that_is_advised_repairs_a_database(run, tmp_path):
    import lancedb

    source = vectors_file(tmp_path / "v.parquet", bias=1.2)
    result = audit(source)
    assert result.verdict.decision == verdict.TRANSFORM
    write_audit(result, tmp_path / "out")
    table = pq.read_table(source)
    column = table["vector"].combine_chunks()
    fixed = pa.FixedSizeListArray.from_arrays(column.flatten().cast(pa.float32()), DIM)
    table = table.set_column(table.column_names.index("vector"), "vector", fixed)
    lancedb.connect(tmp_path / "db").create_table("passages", table)
    address = f"lancedb:{tmp_path / 'db'}#passages"
    status, _, err = run(
        "repair", address, "--transform", tmp_path / "out" / "transform", "--switch",
        "--state", tmp_path / "state",
    )  # fmt: skip
    assert status == 0, err
    after = audit(address)
    assert (
        after.measures["same_language_advantage"] < 0.3 * result.measures["same_language_advantage"]
    )
    # an audit that advises nothing leaves no transform of an earlier one
    write_audit(audit(vectors_file(tmp_path / "w.parquet", bias=0.0)), tmp_path / "out")
    assert not (tmp_path / "out" / "transform").exists()


def test_a_text_of_one_sentence_is_asked_for_by_its_beginning():
    from mixling.auditing.pool import Rows
    from mixling.auditing.queries import make_queries

    texts = [
        f"Nummer {i} steht in einem Satz, der lang genug ist und ein Ende hat" for i in range(9)
    ]
    texts += [
        "東京は日本の首都であり、世界で最も人口の多い都市圏の一つとして広く知られている",
        "kurz",
    ]
    made = make_queries(Rows([""] * 11, [""] * 11, [""] * 11, [""] * 11, texts))
    assert made.name == "beginning" and made.rows.tolist() == list(range(10))
    for text, row in zip(made.texts, made.rows, strict=True):
        assert texts[row].startswith(text) and texts[row].endswith(made.bodies[row])
        assert 0.3 < len(text) / len(texts[row]) < 0.7
    assert made.bodies[10] == "kurz"
