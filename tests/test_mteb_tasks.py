"""mteb's tasks: every one is read or refused in a line, in the right languages, with its links."""

import math
import random
import re
from collections import Counter
from types import SimpleNamespace

import datasets
import numpy as np
import pytest

import mteb_parallel
import mteb_stub
from mixling.corpora import sample
from mixling.errors import BadRowError, MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.mteb_languages import subset_languages
from mixling.evaluation.mteb_links import (
    PARALLEL_PASSAGES,
    REPEATED_PASSAGES,
    ROW_NUMBERS,
    SHARED_IDS,
    SHARED_TEXTS,
    UNKNOWN_TRANSLATIONS,
)
from mixling.evaluation.mteb_tasks import read_mteb


@pytest.fixture
def hub(monkeypatch):
    datasets.disable_progress_bars()
    mteb_stub.install(monkeypatch)


def loaded(name, languages, subsets, **more):
    """A task of mteb with its data, as `get_task` and `load_data` leave it."""
    return SimpleNamespace(
        metadata=SimpleNamespace(name=name, eval_langs=languages),
        dataset={subset: {"test": data} for subset, data in subsets.items()},
        **more,
    )


def split(queries, passages, relevant):
    """A split in mteb's form of texts by id, and the relevant passage of each query."""
    return {
        "queries": [{"id": key, "text": text} for key, text in queries.items()],
        "corpus": [{"id": key, "title": "", "text": text} for key, text in passages.items()],
        "relevant_docs": {query: {passage: 1} for query, passage in relevant.items()},
    }


def answers(task):
    """{query: the passages that answer it}, as texts."""
    found = {}
    for query, passage in task.relevant.tolist():
        found.setdefault(task.queries[query], set()).add(task.passages[passage])
    return found


REASONS = {
    "candidates": "ranks given candidates for each query",
    "splits": "and none of test, all, dev, validation. Name one",
}


@pytest.mark.slow
def test_every_text_retrieval_task_of_mteb_is_read_or_refused_with_a_reason(hub):
    """Loaded by mteb's own code, from data of the form that each loader expects."""
    outcome = Counter()
    named_splits = []
    for task in mteb_stub.text_retrieval_tasks():
        name = task.metadata.name
        try:
            assert len(load_task(f"mteb:{name}").relevant), name
            outcome["read"] += 1
        except MixlingError as error:
            reason = next((r for r, text in REASONS.items() if text in str(error)), None)
            assert reason is not None and "\n" not in str(error), f"{name}: {error}"
            outcome[reason] += 1
            named_splits += [f"{name}:{task.metadata.eval_splits[0]}"] * (reason == "splits")
    for name in named_splits:
        assert len(load_task(f"mteb:{name}").relevant), name
    print(dict(outcome))
    assert sum(outcome.values()) == len(mteb_stub.text_retrieval_tasks())
    assert outcome["read"] > 0.8 * sum(outcome.values()) and outcome["splits"] < 5


@pytest.mark.slow
def test_every_other_task_of_mteb_is_refused_with_a_reason(monkeypatch):
    monkeypatch.setattr(mteb_stub.AbsTaskRetrieval, "load_data", None)
    read = {task.metadata.name for task in mteb_stub.text_retrieval_tasks()}
    reasons = ("is a group of", "Expected a task of retrieval", "Mixling reads texts only")
    for task in mteb_stub.TASK_LIST:
        if task.metadata.name not in read:
            with pytest.raises(MixlingError, match="|".join(reasons)):
                load_task(f"mteb:{task.metadata.name}")


@pytest.mark.parametrize(
    "name",
    [
        "SKQuadRetrieval",  # mteb's older form
        "XQuADRetrieval@de,en",  # the newer one, subsets in languages
        "BelebeleRetrieval@deu_Latn-deu_Latn,eng_Latn-deu_Latn",  # the older one
        "ChemHotpotQARetrieval",  # train, dev and test
        "MSMARCOv2",  # train, dev and dev2
        "BrightRetrieval",  # standard
        "AppsRetrieval",  # programs
        "StatcanDialogueDatasetRetrieval:dev",  # conversations
    ],
)
def test_a_task_of_each_form_is_read(hub, name):
    task = load_task(f"mteb:{name}")
    assert task.name == f"mteb:{name}" and len(task.relevant) and task.scenarios()
    assert all(key.startswith("hub:") and revision for key, revision in task.origin.items())
    assert len(task.origin) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nothing", "mteb has no task 'Nothing'"),
        ("MLQARetrievel", "Did you mean: 'MLQARetrieval'"),
        ("MIRACLReranking", "ranks given candidates"),
        ("QASPER", r"\(subset 'QASPER'\) ranks given candidates"),
        ("Banking77Classification", "is a task of Classification"),
        ("CQADupstackRetrieval", "is a group of 12 tasks. Name its tasks: mteb:CQADupstack"),
        ("CIRRIT2IRetrieval", "has text and image"),
        ("LEMBNeedleRetrieval", "for instance mteb:LEMBNeedleRetrieval:test_256"),
        ("MLQARetrieval:train", "has no split 'train'. Its splits are: validation, test"),
        ("MLQARetrieval@fi", "has no subset in fi. Its subsets are: ara-ara"),
        ("MLQARetrieval@xx", "'xx' is not a language"),
    ],
)
def test_what_cannot_be_read_is_refused_before_it_is_fetched(hub, monkeypatch, name, message):
    if name != "QASPER":  # whose candidates stand in the data
        monkeypatch.setattr(mteb_stub.AbsTaskRetrieval, "load_data", None)
    with pytest.raises(MixlingError, match=message):
        load_task(f"mteb:{name}")


def test_a_hub_that_cannot_be_reached_is_one_error(monkeypatch):
    def offline(self, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(mteb_stub.AbsTaskRetrieval, "load_data", offline)
    with pytest.raises(MixlingError, match=r"cannot be loaded \(ConnectionError: no message\)"):
        load_task("mteb:NFCorpus")


def test_an_mteb_task_is_read():
    subsets = {
        subset: {
            "corpus": [{"id": f"d{n}", "title": "", "text": f"{subset} {n}"} for n in range(3)],
            "queries": [{"id": "q", "text": f"{subset}?"}],
            "relevant_docs": {"q": {"d1": 2}},
        }
        for subset in ("de-en", "sw")
    }
    one = read_mteb(
        loaded("Tiny", {"de-en": ["deu-Latn", "eng-Latn"], "sw": ["swh-Latn"]}, subsets)
    )
    assert one.name == "mteb:Tiny" and one.languages == ("de", "en", "sw")
    assert one.grades.tolist() == [2, 2]
    assert one.scenarios() == ["monolingual", "cross-lingual", "multilingual"]
    assert "mteb does not say which side is 'de' and which 'en'" in one.notes[0]


def test_an_mteb_task_with_titles_alone_numbers_and_gaps():
    data = {
        "corpus": [
            {"id": 0, "title": "Owls", "text": ""},
            {"id": 1, "title": math.nan, "text": "Cranes."},
            {"id": 2, "title": None, "text": None},
        ],
        "queries": [{"id": 0, "text": "Who hunts?"}, {"id": 1, "text": None}],
        "relevant_docs": {0: {0: 2.0, 1: 0}, "1": {"1": 1}},
    }
    task = loaded("Mine", ["eng-Latn"], {"default": data})
    one = read_mteb(task)
    assert one.titled_passages() == ["Owls", "Cranes."]
    assert one.relevant.tolist() == [[0, 0]] and one.grades.tolist() == [2]
    assert one.skipped["bad rows"] == 1 and "found None, expected text" in one.bad_rows[0]
    data["relevant_docs"][0][0] = math.nan
    with pytest.raises(BadRowError, match="'score'"):
        read_mteb(task)


def test_instructions_and_conversations_are_read_as_mteb_reads_them():
    from datasets import Dataset
    from mteb._create_dataloaders import _retrieval_texts
    from mteb.types import PromptType

    turns = [{"role": "user", "content": "Owls?"}, {"role": "bot", "content": "They hunt."}]
    for rows in (
        [{"id": "a", "text": "Owls?", "instruction": "In short."}],
        [{"id": "a", "text": ["Owls?", "And cranes?"]}],
        [{"id": "a", "text": turns, "instruction": "In short."}],
    ):
        data = split({}, {"d": "Owls hunt."}, {"a": "d"}) | {"queries": Dataset.from_list(rows)}
        one = read_mteb(loaded("Mine", ["eng-Latn"], {"default": data}))
        assert one.queries == _retrieval_texts(data["queries"], PromptType.query)


def test_a_passage_with_the_querys_id_is_left_out_where_mteb_leaves_it_out():
    texts = {"a": "Owls hunt.", "b": "Owls sleep.", "c": "Cranes fly."}
    data = split({"a": texts["a"], "b": texts["b"]}, texts, {"a": "b", "b": "b"})
    task = loaded("Mine", ["eng-Latn"], {"default": data})
    assert read_mteb(task).excluded is None
    one = read_mteb(loaded("Mine", ["eng-Latn"], {"default": data}, ignore_identical_ids=True))
    # the second query is its own answer, and an answer is not left out
    assert one.excluded.tolist() == [0, -1]


def test_candidates_that_are_the_whole_collection_restrict_nothing():
    data = split({"q": "Who?"}, {"a": "Owls.", "b": "Cranes."}, {"q": "a"})
    task = loaded("Mine", ["eng-Latn"], {"default": data | {"top_ranked": {"q": ["b", "a"]}}})
    assert read_mteb(task).passages == ["Owls.", "Cranes."]
    task.dataset["default"]["test"]["top_ranked"] = {"q": ["a"]}
    with pytest.raises(MixlingError, match="ranks given candidates"):
        read_mteb(task)


GERMAN, ENGLISH, ARABIC = "Wer jagt nachts?", "Who hunts at night?", "من يصطاد ليلا؟"
JAPANESE, GREEK = "夜に狩りをするのは誰ですか", "Ποιος κυνηγά τη νύχτα;"


@pytest.mark.parametrize(
    ("task", "codes", "queries", "passages", "expected", "note"),
    [
        ("MLQARetrieval", ["ara-Arab", "deu-Latn"], GERMAN, ARABIC, ("de", "ar"), ""),
        ("MLQARetrieval", ["eng-Latn", "deu-Latn"], GERMAN, ENGLISH, ("de", "en"), ""),
        ("CUREv1", ["spa-Latn", "eng-Latn"], "¿Quién?", ENGLISH, ("es", "en"), ""),
        ("Mine", ["ara-Arab", "deu-Latn"], GERMAN, ARABIC, ("de", "ar"), ""),
        ("Mine", ["deu-Latn", "eng-Latn"], GERMAN, ENGLISH, ("de", "en"), "which side"),
        ("CUREv1", ["deu-Latn", "ara-Arab"], ARABIC, GERMAN, ("ar", "de"), "say that the"),
        ("Mine", ["jpn-Hira", "eng-Latn"], JAPANESE, ENGLISH, ("ja", "en"), ""),
        ("Mine", ["ell-Latn"], GREEK, GREEK, ("el", "el"), ""),
        ("Mine", ["urd-Latn"], "Raat ko kaun?", "Ullu.", ("ur-Latn", "ur-Latn"), ""),
        ("Mine", ["zho-Hant"], "人生", "山水", ("zh-Hant", "zh-Hant"), ""),
        ("Mine", ["nor-Latn", "nno-Latn", "nob-Latn"], "Hvem?", "Ugler.", ("nb", "nb"), ""),
        ("Mine", ["fas-Arab"], ENGLISH, ARABIC, ("fa", "fa"), "queries are hardly written"),
        ("Mine", ["eng-Latn", "python-Code"], ENGLISH, "def f(): 0", ("en", "en"), ""),
        ("Mine", ["go-Code"], "func f()", "func g()", ("zxx", "zxx"), ""),
    ],
)
def test_each_side_of_a_subset_has_its_language(task, codes, queries, passages, expected, note):
    query, passage, notes = subset_languages(task, codes, [queries], [passages])
    assert (query, passage) == expected
    assert [bool(re.search(note, n)) for n in notes] == ([True] if note else [])


def test_every_code_of_mteb_is_a_language_and_every_named_task_exists():
    from mixling.evaluation.mteb_languages import PASSAGES_FIRST, QUERIES_FIRST, natural_tags

    pairs, names = set(), set()
    for task in mteb_stub.text_retrieval_tasks():
        languages = task.metadata.eval_langs
        names.add(task.metadata.name)
        for codes in languages.values() if isinstance(languages, dict) else [languages]:
            if len(natural_tags(codes)) == 2 and len(codes) == 2:
                pairs.add(task.metadata.name)
    assert pairs - {"mFollowIRCrossLingual"} == PASSAGES_FIRST | QUERIES_FIRST
    assert names >= SHARED_IDS | SHARED_TEXTS | UNKNOWN_TRANSLATIONS | ROW_NUMBERS
    assert SHARED_IDS >= PARALLEL_PASSAGES | REPEATED_PASSAGES


def parallel(name, prefix=""):
    """Mixling's sample as a task with a subset a language, whose ids are shared."""
    whole = sample.read_sample("all")
    codes = {"zh": "cmn-Hans", "sw": "swh-Latn"}
    subsets = {}
    for tag in sorted(set(whole.passages["language"].to_pylist())):
        part = whole.select(languages=[tag])
        passages = {r["group"]: r["text"] for r in part.passages.to_pylist()}
        queries = {r["group"]: r["text"] for r in part.queries.to_pylist()}
        ids = [r["group"] for r in part.passages.to_pylist()]
        links = {x["group"]: ids[x["passage"]] for x in part.links.to_pylist()}
        subsets[tag] = split(queries, passages, links)
    languages = {tag: [codes.get(tag, tag)] for tag in subsets}
    return loaded(name, languages, subsets)


def right_first(task):
    """A scorer that ranks the translations of the right passage first: none of them is wrong."""
    group = {text: row["group"] for row in sample.read_sample("all").passages.to_pylist()
             for text in [row["text"]]}  # fmt: skip
    link = {x["group"]: x["passage"] for x in sample.read_sample("all").links.to_pylist()}
    rows = sample.read_sample("all").passages["group"].to_pylist()
    right = {key: rows[passage] for key, passage in link.items()}

    def scores(start, stop):
        wanted = [right[key.rpartition(":")[2]] for key in task.query_ids[start:stop]]
        return np.array(
            [[float(group[text] == w) for text in task.passages] for w in wanted], np.float32
        )

    return scores


def test_linked_translations_are_right_answers_of_one_pool():
    alone, linked = read_mteb(parallel("Mine")), read_mteb(parallel("XQuADRetrieval"))
    n = len(linked.languages)
    assert len(alone.queries) == len(linked.queries) and n == 8
    assert len(linked.relevant) == n * len(alone.relevant)
    assert len(set(linked.query_group)) * n == len(set(alone.query_group))
    assert linked.notes == (
        "queries of 8 languages are linked by id",
        "passages of 8 languages are linked by id",
    )
    assert alone.notes == ()
    figures = {}
    for what, task in (("alone", alone), ("linked", linked)):
        entry = score_task(task, rank_task(task, right_first(task), 100, "ideal")).entry
        figures[what] = (entry["monolingual"]["mAP"], entry["multilingual"]["mAP"])
    print(figures)
    assert figures["linked"] == (1, 1)
    assert figures["alone"][0] == 1 and figures["alone"][1] < 0.5


def test_ids_that_do_not_mean_translations_link_nothing():
    task = parallel("MuPLeR-retrieval")
    data = task.dataset["de"]["test"]
    rows = [row["text"] for row in data["corpus"]]
    random.Random(0).shuffle(rows)
    keys = [row["id"] for row in data["corpus"]]
    data["corpus"] = [
        {"id": key, "title": "", "text": text} for key, text in zip(keys, rows, strict=True)
    ]
    rotated = dict(zip(keys, keys[1:] + keys[:1], strict=True))
    data["relevant_docs"] = {
        q: {rotated[d]: 1 for d in found} for q, found in data["relevant_docs"].items()
    }
    one = read_mteb(task)
    assert "queries of 7 languages are linked by id; not de" in one.notes[0]
    german = [x for x in one.query_ids if x.startswith("de:")]
    assert german and all(x.startswith("de:de:") for x in german)


def test_two_subsets_of_one_language_are_linked_each():
    """As MKQA's Chinese of Hong Kong and of Taiwan."""
    data = {
        tag: split({"q": question}, {"d": answer, "e": other}, {"q": "d"})
        for tag, question, answer, other in (
            ("zh_hk", "邊個夜晚打獵？", "貓頭鷹打獵。", "鶴往南飛。"),
            ("zh_tw", "誰在夜裡打獵？", "貓頭鷹會打獵。", "鶴會往南飛。"),
            ("en", "Who hunts?", "The owl hunts.", "The crane flies."),
        )
    }
    languages = {"zh_hk": ["zho-Hant"], "zh_tw": ["zho-Hant"], "en": ["eng-Latn"]}
    one = read_mteb(loaded("MKQARetrieval", languages, data))
    assert one.languages == ("en", "zh-Hant") and len(one.queries) == 3 and len(one.passages) == 6
    right = {"貓頭鷹打獵。", "貓頭鷹會打獵。", "The owl hunts."}
    assert list(answers(one).values()) == [right] * 3 and len(set(one.query_group)) == 1


def test_lengths_tell_translations_from_other_texts():
    from mixling.evaluation.mteb_id_links import same_texts

    texts = {f"{i}": "a" * (5 + i % 17) for i in range(60)}
    translations = {key: text + "bb" for key, text in texts.items()}
    assert same_texts(texts, translations)
    others = list(translations.values())
    random.Random(1).shuffle(others)
    assert not same_texts(texts, dict(zip(texts, others, strict=True)))
    assert not same_texts(texts, {f"x{key}": text for key, text in translations.items()})


def mlqa(skip=()):
    """Two questions on one text and one on another, in subsets `context-question`."""
    contexts = {
        "ara": ["البومة تصطاد ليلا.", "يطير الكركي جنوبا."],
        "deu": ["Die Eule jagt nachts.", "Der Kranich zieht nach Süden."],
        "eng": ["The owl hunts at night.", "The crane flies south."],
    }
    questions = {
        "ara": ["من يصطاد؟", "متى تصطاد؟", "إلى أين يطير؟"],
        "deu": ["Wer jagt?", "Wann jagt sie?", "Wohin zieht er?"],
        "eng": ["Who hunts?", "When does it hunt?", "Where does it fly?"],
    }
    codes = {"ara": "ara-Arab", "deu": "deu-Latn", "eng": "eng-Latn"}
    subsets, languages = {}, {}
    for context in contexts:
        for question in questions:
            name = f"{context}-{question}"
            order = random.Random(name).sample(range(3), 3)  # ids of a subset are its own
            subsets[name] = split(
                {f"Q{order[i]}": text for i, text in enumerate(questions[question])},
                {f"C{i}": text for i, text in enumerate(contexts[context])},
                {f"Q{order[i]}": "C0" if i < 2 else "C1" for i in range(3)},
            )
            languages[name] = [codes[context], codes[question]]
    kept = {name: data for name, data in subsets.items() if name not in skip}
    return loaded("MLQARetrieval", {name: languages[name] for name in kept}, kept)


def test_equal_texts_of_subsets_are_one_query_and_one_passage():
    one = read_mteb(mlqa())
    assert len(one.queries) == 9 and len(one.passages) == 6
    found = answers(one)
    for question in ("Wer jagt?", "When does it hunt?"):
        assert found[question] == {
            "البومة تصطاد ليلا.", "Die Eule jagt nachts.", "The owl hunts at night.",
        }  # fmt: skip
    by_text = dict(zip(one.queries, one.query_group, strict=True))
    # the only question on its text in each language: translations; of two, nobody knows which
    assert by_text["Wohin zieht er?"] == by_text["Where does it fly?"] == by_text["إلى أين يطير؟"]
    assert by_text["Wer jagt?"] != by_text["Who hunts?"]
    tags = {text: one.languages[code] for text, code in zip(one.queries, one.query_language)}  # noqa: B905
    assert (tags["Wer jagt?"], tags["من يصطاد؟"], tags["Who hunts?"]) == ("de", "ar", "en")


def test_translations_that_share_answers_share_the_answers_of_each_other():
    """As in XPQA, where no subset asks the English question on English passages."""
    one = read_mteb(mlqa(skip=("eng-eng", "eng-ara", "ara-eng")))
    assert answers(one)["Where does it fly?"] == {
        "Der Kranich zieht nach Süden.", "The crane flies south.", "يطير الكركي جنوبا.",
    }  # fmt: skip


REPLICAS = {
    "XQuADRetrieval@ar,de,en,zh": mteb_parallel.xquad,
    "MuPLeR-retrieval@en,es,fi": mteb_parallel.mupler,
    "EuroPIRQRetrieval": mteb_parallel.europirq,
    "MLQARetrieval@ar,de,en,es": mteb_parallel.mlqa,
    "BelebeleRetrieval@ar,de,en,sw": mteb_parallel.belebele,
}


@pytest.mark.parametrize("name", REPLICAS)
def test_a_parallel_benchmark_in_its_published_form_is_one_pool(monkeypatch, name):
    """Each query has all translations of its answer, and no query group has two questions."""
    replica = REPLICAS[name]()
    mteb_parallel.install(monkeypatch, replica)
    one = load_task(f"mteb:{name}")
    assert answers(one) == replica.answers
    members = {}
    for text, group in zip(one.queries, one.query_group, strict=True):
        members.setdefault(group, []).append(replica.groups[text])
    assert all(len(set(questions)) == 1 for questions in members.values())
    linked = sum(len(questions) > 1 for questions in members.values()) / len(members)
    print(name, len(one.queries), len(one.passages), linked, one.notes)
    assert linked > (0.2 if name.startswith("MLQA") else 0.9)


def test_belebele_is_linked_by_its_english_questions_where_its_files_have_other_orders(monkeypatch):
    replica = mteb_parallel.belebele(same_order=False)
    mteb_parallel.install(monkeypatch, replica)
    one = load_task("mteb:BelebeleRetrieval@ar,de,en,sw")
    assert answers(one) == replica.answers
    # two questions on a passage: nothing says which is whose translation
    assert len(set(one.query_group)) == len(one.queries)
    alone = load_task("mteb:BelebeleRetrieval@deu_Latn-deu_Latn,swh_Latn-swh_Latn")
    assert alone.notes[0].startswith("0 of 88 passages and 0 of 175 queries are linked")


def test_belebele_without_english_is_linked_by_its_rows(monkeypatch):
    mteb_parallel.install(monkeypatch, mteb_parallel.belebele())
    one = load_task("mteb:BelebeleRetrieval@deu_Latn-deu_Latn,swh_Latn-swh_Latn")
    assert {len(found) for found in answers(one).values()} == {2, 4}
    # Swahili asks one text about two passages: 84 of its questions have a place of their own
    assert one.notes[0].startswith("88 of 88 passages and 168 of 175 queries are linked")


def test_judgments_that_the_other_subsets_contradict_are_replaced(monkeypatch):
    """As those of ara-deu. Where they are right, or nothing can tell, they stay."""
    mteb_parallel.install(monkeypatch, mteb_parallel.mlqa())
    one = load_task("mteb:MLQARetrieval@ar,de")
    assert "its published judgments are wrong (mteb issue 5585); 22 are taken" in one.notes[0]
    alone = load_task("mteb:MLQARetrieval@ara-deu")
    assert "no other subset tells" in alone.notes[0]
    replica = mteb_parallel.mlqa(right_judgments=True)
    mteb_parallel.install(monkeypatch, replica)
    right = load_task("mteb:MLQARetrieval@ar,de,en,es")
    assert answers(right) == replica.answers and "ara-deu" not in " ".join(right.notes)


def test_a_query_that_is_a_passage_of_another_subset_does_not_find_itself():
    german, french = ["Die Eule jagt.", "Er zieht."], ["La chouette chasse.", "Elle part."]
    subsets = {
        "deu-fra": split({"Q1": german[0]}, {"D1": french[0], "D2": french[1]}, {"Q1": "D1"}),
        "fra-deu": split({"Q1": french[0]}, {"D1": german[0], "D2": german[1]}, {"Q1": "D1"}),
    }
    languages = {"deu-fra": ["deu-Latn", "fra-Latn"], "fra-deu": ["fra-Latn", "deu-Latn"]}
    one = read_mteb(loaded("CrossLingualSemanticDiscriminationWMT21", languages, subsets))
    assert [one.passages[row] for row in one.excluded] == [german[0], french[0]]
    assert answers(one) == {german[0]: {french[0]}, french[0]: {german[0]}}


def test_subsets_without_links_are_said():
    data = {name: split({"q": f"{name}?"}, {"d": f"{name}."}, {"q": "d"}) for name in ("a", "b")}
    languages = {"a": ["eng-Latn"], "b": ["eng-Latn"]}
    assert (
        "mteb ranks each alone; mteb:Mine@a has one"
        in (read_mteb(loaded("Mine", languages, data)).notes[0])
    )
    data = {name: split({"q": f"{name}?"}, {"d": f"{name}."}, {"q": "d"}) for name in ("de", "en")}
    languages = {"de": ["deu-Latn"], "en": ["eng-Latn"]}
    assert "counts as wrong" in read_mteb(loaded("MintakaRetrieval", languages, data)).notes[0]
    assert read_mteb(loaded("Mine", languages, data)).notes == ()
