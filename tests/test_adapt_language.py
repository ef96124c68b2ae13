"""Adaptation to a language: new subwords, masking, distillation, resuming, the folder it writes."""

import json
import signal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.test_training import weights

from mixling.corpora import sample
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.models.vocabulary import extend_vocabulary, learn_subwords, mask_tokens
from mixling.training.adapt_language import OBJECTIVES, adapt_language
from mixling.training.bitext import sentence_pairs
from mixling.training.mlm_head import MLMHead


def texts(language):
    corpus = sample.read_sample("all")
    return [r["text"] for r in corpus.passages.to_pylist() if r["language"] == language]


LANGUAGES = sample.read_sample("all").languages()
TARGET = next(x for x in ("sw", "hi", "ar", "zh", "de") if x in LANGUAGES)


def wordpiece(folder, chain):
    """The tiny chain with a WordPiece tokenizer in place of its own."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = (
        normalizers.NFKC(),
        pre_tokenizers.BertPreTokenizer(),
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(
        texts("en"), trainers.WordPieceTrainer(vocab_size=600, special_tokens=special)
    )
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=128,
    )
    Retriever(str(chain)).save(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", ["Unigram", "WordPiece"])
def test_new_subwords_save_tokens_and_change_no_other_language(chain, tmp_path, model_type):
    name = str(chain) if model_type == "Unigram" else str(wordpiece(tmp_path / "wordpiece", chain))
    retriever, before = Retriever(name), Retriever(name)
    table = before.encoder.get_input_embeddings().weight.detach().clone()
    subwords = learn_subwords(retriever.tokenizer, texts(TARGET), 40)
    assert 10 < len(subwords) <= 40 and not set(subwords) & set(before.tokenizer.get_vocab())
    extend_vocabulary(retriever, subwords)
    first = len(before.tokenizer)
    assert len(retriever.tokenizer) == first + len(subwords)
    assert retriever.tokenizer.convert_tokens_to_ids(subwords) == list(
        range(first, first + len(subwords))
    )
    old, new = (r.tokenizer(texts(TARGET))["input_ids"] for r in (before, retriever))
    saved = [len(a) - len(b) for a, b in zip(old, new, strict=True)]
    assert min(saved) >= 0 and sum(saved) > 10
    # other texts are split as before, unless a whole new subword stands in them
    for language in LANGUAGES:
        for text, old, new in zip(
            texts(language),
            before.tokenize(texts(language)),
            retriever.tokenize(texts(language)),
            strict=True,
        ):
            if not any(i >= first for i in new):
                assert old == new, text
    # vectors: the old rows stay, a new one is the mean of its old subwords'
    new_table = retriever.encoder.get_input_embeddings().weight.detach()
    assert torch.equal(new_table[:first], table[:first])
    if model_type == "Unigram":
        old = before.tokenizer.backend_tokenizer.model.tokenize(subwords[0])
        assert torch.allclose(
            new_table[first], table[torch.tensor([t.id for t in old])].mean(0), atol=1e-6
        )
    # on the disk: plain transformers and sentence-transformers read the same
    retriever.save(tmp_path / "extended")
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "extended")
    plain = [tokenizer(t, truncation=True)["input_ids"] for t in texts(TARGET)[:4]]
    assert plain == retriever.tokenize(texts(TARGET)[:4])
    assert (
        AutoModel.from_pretrained(tmp_path / "extended").get_input_embeddings().weight.shape
        == new_table.shape
    )
    again = Retriever(str(tmp_path / "extended"))
    assert np.array_equal(again.encode(texts(TARGET)[:4]), retriever.encode(texts(TARGET)[:4]))


def test_a_tokeniser_that_cannot_be_added_to_is_refused():
    from tokenizers import Tokenizer, models

    class Bytes:
        unk_token = None
        backend_tokenizer = Tokenizer(models.BPE())

    with pytest.raises(MixlingError, match="--vocabulary 0"):
        learn_subwords(Bytes(), ["a b"], 5)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(0, 1000))
def test_masked_tokens(ids, seed):
    special, subwords = frozenset({0, 1, 2}), np.arange(3, 41)
    out, places = mask_tokens(ids, special, 99, subwords, np.random.default_rng(seed))
    maskable = [i for i, t in enumerate(ids) if t not in special]
    assert len(out) == len(ids) and set(places.tolist()) <= set(maskable)
    assert len(places) == (max(1, round(0.15 * len(maskable))) if maskable else 0)
    assert all(
        a == b
        for i, (a, b) in enumerate(zip(ids, out, strict=True))
        if i not in set(places.tolist())
    )
    assert set(np.array(out)[places].tolist()) <= {99, *range(3, 41)} if len(places) else True


def test_eight_in_ten_selected_tokens_are_masked():
    out, places = mask_tokens(
        [5] * 4000, frozenset(), 99, np.arange(6, 90), np.random.default_rng(0)
    )
    shares = [(np.array(out)[places] == x).mean() for x in (99, 5)]
    assert len(places) == 600 and abs(shares[0] - 0.8) < 0.05 and abs(shares[1] - 0.1) < 0.04


def test_the_head_is_berts():
    """The same weights in transformers' BERT head give the same scores of the same words."""
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLMPredictionHead

    config = BertConfig(vocab_size=50, hidden_size=16, num_attention_heads=2, layer_norm_eps=1e-5)
    theirs, ours = BertLMPredictionHead(config), MLMHead(16, np.array([3, 7, 49]))
    ours.dense, ours.norm = theirs.transform.dense, theirs.transform.LayerNorm
    x = torch.randn(5, 16)
    expected = theirs(x) - theirs.decoder.bias
    assert torch.allclose(ours(x, theirs.decoder.weight), expected[:, [3, 7, 49]], atol=1e-5)


def test_pairs_have_the_pivot_and_a_related_language():
    corpus = sample.read_sample("all")
    other = next(x for x in LANGUAGES if x not in (TARGET, "en"))
    pairs = sentence_pairs(corpus, [TARGET], {TARGET: other}, "en")
    assert {(p.language, p.other_language) for p in pairs} == {(TARGET, "en"), (TARGET, other)}
    assert all(p.pivot == (p.other_language == "en") for p in pairs)
    where = {
        r["text"]: (r["group"], r["language"])
        for t in (corpus.queries, corpus.passages)
        for r in t.to_pylist()
    }
    assert all(where[p.text][0] == where[p.other][0] for p in pairs)
    assert len(sentence_pairs(corpus, [TARGET], {}, "en")) * 2 == len(pairs)


def call(chain, out, **changes):
    options = {
        "vocabulary": 30,
        "steps": 12,
        "batch": 8,
        "lr": 1e-3,
        "checkpoint_every": 4,
        "precision": "fp32",
        "objectives": OBJECTIVES,
    }
    return adapt_language(
        str(chain), [sample.read_sample("all")], [TARGET], out, **{**options, **changes}
    )


def test_it_learns_and_an_ordinary_folder_comes_out(chain, tmp_path, run):
    report = call(chain, tmp_path / "run", steps=60, margin=0.5)
    rows = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    for name in OBJECTIVES:
        losses = [r[name] for r in rows if name in r]
        assert np.mean(losses[-5:]) < np.mean(losses[:5]), name
    before, after = (report.coverage[k][TARGET]["fertility"] for k in ("before", "after"))
    assert after < before and report.new_subwords == 30
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")
    queries = texts(TARGET)[:3]
    ours = Retriever(str(tmp_path / "run" / "model")).encode(queries, "query")
    assert np.abs(theirs.encode_query(queries) - ours).max() < 1e-5
    assert (
        call(chain, tmp_path / "run", steps=60, margin=0.5) == report
    )  # done: nothing is done again
    with pytest.raises(MixlingError, match="another configuration, which differs in steps"):
        call(chain, tmp_path / "run", steps=61, margin=0.5)
    status, output, error = run(
        "adapt-language",
        chain,
        "--bitext",
        "sample:all",
        "-l",
        TARGET,
        "--out",
        tmp_path / "cli",
        "--steps",
        "2",
        "--vocabulary",
        "5",
        "--related",
        f"{TARGET}=de",
    )
    assert status == 0 and f"  {TARGET} " in output and "5 new subwords" in output, error


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective_alone(chain, tmp_path, objective):
    report = call(chain, tmp_path / "run", objectives=[objective], steps=2, vocabulary=0)
    assert set(report.loss) == {objective} and report.new_subwords == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"languages": ["yo"]}, "no bitext of 'yo'"),
        ({"objectives": ["mml"]}, "Did you mean 'mlm'"),
        ({"lr": 1e30, "objectives": ["distil"]}, "Lower --lr"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_a_mistake_is_one_sentence(chain, tmp_path, changes, message):
    options = {"languages": [TARGET], "steps": 4, "vocabulary": 0, **changes}
    with pytest.raises(MixlingError, match=message):
        adapt_language(str(chain), [sample.read_sample("all")], out=tmp_path / "run", **options)
    assert not (tmp_path / "run" / "model").exists()


RESUMED = {
    "vocabulary": 30,
    "steps": 12,
    "batch": 8,
    "lr": 1e-3,
    "checkpoint_every": 4,
    "precision": "fp32",
    "margin": 0.5,
    "objectives": ["mlm", "tlm", "distil"],
}
CODE = """
import json, os, signal, sys, torch
torch.set_num_threads(1)
from mixling.training.adapt_language import adapt_language
model, language, out, options = sys.argv[1:]
adapt_language(model, ["sample:all"], [language], out, **json.loads(options),
      on_step=lambda r: os.kill(os.getpid(), signal.SIGKILL) if r["step"] == 6 else None)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_killed_and_resumed_it_ends_in_the_same_bits(chain, tmp_path, forks):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    killed = forks.run(CODE, chain, TARGET, cut, json.dumps(RESUMED))
    assert killed.returncode == -signal.SIGKILL and not (cut / "run.json").exists(), killed.stderr
    for out in (whole, cut):
        adapt_language(str(chain), ["sample:all"], [TARGET], out, **RESUMED)
    one, other = (weights(x / "model") for x in (whole, cut))
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    assert (whole / "log.jsonl").read_text() == (cut / "log.jsonl").read_text()
