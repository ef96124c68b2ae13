"""New pieces for a tokenizer that cuts a language too small: learnt from text, put behind the old ones.

Nothing that was cut well is cut otherwise. In a Unigram model a new piece scores a hair more than the old pieces that it
replaces, so it is taken where those would have been taken; a WordPiece model takes the longest piece that fits anyway.
A new piece's vector is the mean of its old pieces' vectors.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever

_HAIR = 1e-3


def learn_subwords(tokenizer: Any, texts: Sequence[str], count: int) -> list[str]:
    """Up to `count` pieces that the tokenizer lacks, by how many pieces they save in `texts`.

    Raises MixlingError for a tokenizer that is neither Unigram nor WordPiece.
    """
    from tokenizers import Tokenizer, trainers

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = content["model"]["type"]
    if kind not in ("Unigram", "WordPiece"):
        raise MixlingError(
            f"the tokenizer is a {kind} model, whose vocabulary cannot be added to here; take --vocabulary 0"
        )
    old = tokenizer.backend_tokenizer
    new = Tokenizer.from_str(json.dumps(content))
    unknown = tokenizer.unk_token or "<unk>"
    size = max(8000, 8 * count)
    if kind == "Unigram":
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=[unknown], unk_token=unknown, show_progress=False
        )
    else:
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=[unknown], show_progress=False
        )
    new.train_from_iterator(texts, trainer)
    seen = Counter(
        p for e in new.encode_batch(list(texts), add_special_tokens=False) for p in e.tokens
    )
    known = set(tokenizer.get_vocab())
    saved = {
        p: n * (len(_split_subword(old, p, kind)) - 1)
        for p, n in seen.items()
        if p not in known and p != unknown
    }
    best = sorted((p for p in saved if saved[p] > 0), key=lambda p: (-saved[p], p))
    return best[:count]


def _split_subword(tokenizer: Any, piece: str, kind: str) -> list[str]:
    """The old pieces that a piece's text is cut into."""
    if kind == "WordPiece":
        text, inside = piece.removeprefix("##"), piece.startswith("##")
        found = tokenizer.model.tokenize(text)
        return [("##" + t.value if inside and i == 0 else t.value) for i, t in enumerate(found)]
    return [t.value for t in tokenizer.model.tokenize(piece)]


def extend_vocabulary(retriever: Retriever, pieces: Sequence[str]) -> None:
    """Put pieces into a retriever's tokenizer and their vectors into its word table, both in place."""
    tokenizer = retriever.tokenizer
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    kind, vocabulary = content["model"]["type"], tokenizer.get_vocab()
    unknown = tokenizer.unk_token_id
    cut = [_split_subword(tokenizer.backend_tokenizer, p, kind) for p in pieces]
    ids = [[vocabulary.get(t, unknown) for t in c] for c in cut]
    first = len(content["model"]["vocab"])
    if first != len(tokenizer):
        raise MixlingError(
            f"the tokenizer has {len(tokenizer) - first} tokens behind its vocabulary, which new pieces would push away; "
            "take --vocabulary 0"
        )
    if kind == "Unigram":
        score = dict(content["model"]["vocab"])
        low = min(score.values()) - 10  # what the library gives an unknown character
        for piece, old in zip(pieces, cut, strict=True):
            content["model"]["vocab"].append(
                [piece, sum(score.get(t, low) for t in old) + _HAIR * (len(old) - 1)]
            )
    else:
        content["model"]["vocab"].update({p: first + i for i, p in enumerate(pieces)})
    from tokenizers import Tokenizer

    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
    encoder = retriever.encoder
    before = encoder.get_input_embeddings().weight.detach()
    rows = torch.stack([before[torch.tensor(i)].mean(0) for i in ids]) if ids else before[:0]
    if len(before) < first + len(pieces):
        encoder.resize_token_embeddings(first + len(pieces), mean_resizing=False)
    with torch.no_grad():
        encoder.get_input_embeddings().weight[first : first + len(pieces)] = rows.to(before)


def mask_token(tokenizer: Any) -> int:
    """The id of the token that stands for a hidden one. Raises MixlingError if there is none."""
    if tokenizer.mask_token_id is not None:
        return int(tokenizer.mask_token_id)
    vocabulary = tokenizer.get_vocab()
    found = next((vocabulary[t] for t in ("<mask>", "[MASK]") if t in vocabulary), None)
    if found is None:
        raise MixlingError(
            "the tokenizer has no mask token, so nothing can be masked; take --objective distil alone"
        )
    return int(found)


def mask_tokens(
    ids: Sequence[int],
    special: frozenset[int],
    mask: int,
    words: np.ndarray,
    random: np.random.Generator,
) -> tuple[list[int], np.ndarray]:
    """BERT's masking: (ids with some hidden, their places). 15 % of the tokens that are not special, at least one: of
    these 80 % become `mask`, 10 % one of `words`, 10 % stay."""
    out = np.array(ids)
    may = np.array([i for i, t in enumerate(ids) if t not in special], np.int64)
    if not len(may):
        return list(ids), may
    chosen = np.sort(random.permutation(may)[: max(1, round(0.15 * len(may)))])
    toss = random.random(len(chosen))
    out[chosen[toss < 0.8]] = mask
    some = chosen[toss >= 0.9]
    out[some] = random.choice(words, len(some))
    return out.tolist(), chosen
