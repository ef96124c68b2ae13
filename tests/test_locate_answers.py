"""Answer sentences: those that the corpus knows, and those that the model chooses."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mixling.batches.translation_groups import translation_groups
from mixling.corpora import folder, sample
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.preparation.answer_sentences import best_sentence, passage_sentences
from mixling.preparation.locate_answers import locate_answers


def without_places(corpus: Corpus) -> Corpus:
    """The corpus as a set that does not tell where answers stand."""
    nothing = pa.nulls(corpus.links.num_rows, pa.int32())
    links = corpus.links.set_column(2, "start", nothing).set_column(3, "end", nothing)
    return replace(corpus, links=links)


def run(chain, out, negatives=3):
    """The sample located, nothing of it dropped."""
    corpus = without_places(sample.read_sample("train"))
    return locate_answers(
        str(chain),
        corpus,
        out,
        precision="fp32",
        negatives=negatives,
        max_relative_score=1.0,
        margin=0,
    )


@pytest.fixture(scope="module")
def located(chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("located") / "sample"
    return out, run(chain, out)


def test_the_question_in_the_passages_language_decides():
    scores = np.array([[0.9, 0.1], [0.2, 0.3], [0.1, 0.4]])
    mean = np.array([0.1, 0.1, 0.1])
    assert best_sentence(scores, np.array([False, True, False]), mean) == (1, pytest.approx(0.5))
    assert best_sentence(scores, np.array([True, False, False]), mean) == (0, pytest.approx(1.0))
    # nobody asks in the passage's language: the mean of those who ask, .15 and .35 over .1
    assert best_sentence(scores[1:], np.array([False, False]), mean[1:]) == (1, pytest.approx(0.8))
    assert best_sentence(scores[:, :1], np.array([False, True, False]), mean) == (0, 1.0)


def test_sentences_hold_every_word():
    corpus = sample.read_sample("train")
    sentences = passage_sentences(corpus)
    for p, text in enumerate(corpus.passages["text"].to_pylist()):
        rows = range(sentences.edges[p], sentences.edges[p + 1])
        assert " ".join(sentences.texts[s] for s in rows).split() == text.split() or "。" in text
        for s in rows:
            at = sentences.start[s]
            assert text[at : at + len(sentences.texts[s])] == sentences.texts[s]


def marked() -> Corpus:
    """Two paragraphs in two languages, with two queries on each and the places of answers."""
    builder = CorpusBuilder("marked")
    texts = {
        "en": ["Anna baked bread. Ben drank tea. Cara sang.", "Rain fell. Snow lay. Wind blew."],
        "de": ["Anna buk Brot. Ben trank Tee. Cara sang.", "Regen fiel. Schnee lag. Wind wehte."],
    }
    answers = {
        "0.0": ("bread", "Brot"),
        "0.1": ("tea", "Tee"),
        "1.0": ("Rain", "Regen"),
        "1.1": ("Wind", "Wind"),
    }
    for i, language in enumerate(texts):
        for group, answer in answers.items():
            text = texts[language][int(group[0])]
            builder.add_query(group, f"{language} {group}?", language, group)
            start = text.index(answer[i])
            builder.add_link(
                group, builder.add_passage(text, text, language), start, start + len(answer[i])
            )
    return builder.build()


def test_known_places_stay(chain, tmp_path):
    original = marked()
    report = locate_answers(str(chain), original, tmp_path / "known", precision="fp32", margin=1)
    assert report.known_answers == report.links == 8
    assert report.located_answers == report.unsure_answers == 0
    assert 0 <= report.agreement <= 1
    located_corpus = folder.read_folder(tmp_path / "known")
    text = located_corpus.passages["text"].to_pylist()
    assert len(text) == 12
    linked = {(x["group"], text[x["passage"]]) for x in located_corpus.links.to_pylist()}
    assert linked == {
        *(("0.0", x) for x in ("Anna baked bread.", "Anna buk Brot.")),
        *(("0.1", x) for x in ("Ben drank tea.", "Ben trank Tee.")),
        *(("1.0", x) for x in ("Rain fell.", "Regen fiel.")),
        *(("1.1", x) for x in ("Wind blew.", "Wind wehte.")),
    }
    # two questions of a passage with two answers are apart, and may be each other's negatives
    source = translation_groups(located_corpus)
    assert len(source.groups) == len(np.unique(source.conflict_group)) == 4


def test_unknown_places_are_the_models_choice(chain, located):
    out, report = located
    original, located_corpus = sample.read_sample("train"), folder.read_folder(out)
    assert report.located_answers == report.links == original.links.num_rows
    assert report.known_answers == 0 and report.agreement is None
    retriever = Retriever(str(chain))
    texts, language = (
        original.passages["text"].to_pylist(),
        original.passages["language"].to_pylist(),
    )
    sentences = passage_sentences(original)
    queries = {(q["group"], q["language"]): q["text"] for q in original.queries.to_pylist()}
    located_text = located_corpus.passages["text"].to_pylist()
    linked = {(x["group"], located_text[x["passage"]]) for x in located_corpus.links.to_pylist()}
    for x in original.links.to_pylist():
        p = x["passage"]
        sentence_texts = sentences.texts[sentences.edges[p] : sentences.edges[p + 1]]
        question = queries[x["group"], language[p]]
        scores = (
            retriever.encode([question], "query") @ retriever.encode(sentence_texts, "passage").T
        )
        assert (x["group"], sentence_texts[int(scores.argmax())]) in linked, texts[p]


def test_negatives_are_other_sentences_of_its_passages(located):
    out, report = located
    corpus = folder.read_folder(out)
    assert corpus.negatives.num_rows == report.negatives_mined > 0
    texts, language = corpus.passages["text"].to_pylist(), corpus.passages["language"].to_pylist()
    right: dict[str, set[int]] = {}
    for x in corpus.links.to_pylist():
        right.setdefault(x["group"], set()).add(x["passage"])
    original = sample.read_sample("train")
    texts_before = original.passages["text"].to_pylist()
    passages_of_group: dict[str, list[str]] = {}
    for x in original.links.to_pylist():
        passages_of_group.setdefault(x["group"], []).append(texts_before[x["passage"]])
    per_question: dict[int, list[bool]] = {}
    for row in corpus.negatives.to_pylist():
        q = corpus.queries.slice(row["query"], 1).to_pylist()[0]
        assert row["passage"] not in right[q["group"]]
        assert any(texts[row["passage"]] in passage for passage in passages_of_group[q["group"]])
        per_question.setdefault(row["query"], []).append(language[row["passage"]] != q["language"])
    assert all(
        len(foreign) <= 3 and foreign == sorted(foreign) for foreign in per_question.values()
    )


def test_questions_with_one_answer_share_a_block(located):
    corpus = folder.read_folder(located[0])
    source = translation_groups(corpus)
    conflict_group = dict(zip(source.groups, source.conflict_group.tolist(), strict=True))
    by_passage: dict[int, set[int]] = {}
    for x in corpus.links.to_pylist():
        by_passage.setdefault(x["passage"], set()).add(conflict_group[x["group"]])
    assert all(len(blocks) == 1 for blocks in by_passage.values())


def test_again_says_the_same_and_another_job_is_refused(chain, located):
    out, report = located
    assert run(chain, out) == report
    with pytest.raises(MixlingError):
        run(chain, out, negatives=2)


def test_what_is_unsure_is_left_out(chain, located, tmp_path):
    report = locate_answers(
        str(chain),
        without_places(sample.read_sample("train")),
        tmp_path / "sure",
        precision="fp32",
        margin=0.2,
    )
    assert report.unsure_answers > 0
    assert report.located_answers + report.unsure_answers == located[1].located_answers
    assert (
        folder.read_folder(tmp_path / "sure").links.num_rows
        <= report.links
        == report.located_answers
    )
