"""Learn new subwords for a tokenizer that splits a language too finely, and mask tokens.

New subwords come behind the old ones, so other text is split as before. In a Unigram model a new
subword scores slightly more than the old subwords that it replaces, so the tokenizer takes it where
it would have taken those. A WordPiece model takes the longest subword that fits. The vector of a
new subword is the mean of the vectors of the old subwords.
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

_SCORE_MARGIN = 1e-3  # of a new subword over the old ones, a log probability


def learn_subwords(tokenizer: Any, texts: Sequence[str], count: int) -> list[str]:
    """Learn the subwords that save a tokenizer most tokens.

    Args:
        tokenizer: A fast tokenizer of transformers.
        texts: Texts to learn from.
        count: Maximum number of subwords.

    Returns:
        At most `count` subwords that the tokenizer lacks, in falling order of the tokens that they
        save in `texts`.

    Raises:
        MixlingError: The tokenizer's model is neither Unigram nor WordPiece.
    """
    from tokenizers import Tokenizer, trainers

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model_type = content["model"]["type"]
    if model_type not in ("Unigram", "WordPiece"):
        raise MixlingError(
            f"the tokenizer is a {model_type} model, to whose vocabulary Mixling cannot add. "
            "Expected Unigram or WordPiece; use --vocabulary 0."
        )
    old = tokenizer.backend_tokenizer
    new = Tokenizer.from_str(json.dumps(content))
    unknown = tokenizer.unk_token or "<unk>"
    size = max(8000, 8 * count)
    if model_type == "Unigram":
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=[unknown], unk_token=unknown, show_progress=False
        )
    else:
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=[unknown], show_progress=False
        )
    new.train_from_iterator(texts, trainer)
    counts = Counter(
        p for e in new.encode_batch(list(texts), add_special_tokens=False) for p in e.tokens
    )
    vocabulary = set(tokenizer.get_vocab())
    saved = {
        p: n * (len(_split_subword(old, p, model_type)) - 1)
        for p, n in counts.items()
        if p not in vocabulary and p != unknown
    }
    best = sorted((p for p in saved if saved[p] > 0), key=lambda p: (-saved[p], p))
    return best[:count]


def _split_subword(tokenizer: Any, subword: str, model_type: str) -> list[str]:
    """Split the text of a subword into subwords of the old tokenizer."""
    if model_type == "WordPiece":
        text, inside = subword.removeprefix("##"), subword.startswith("##")
        tokens = tokenizer.model.tokenize(text)
        return [("##" + t.value if inside and i == 0 else t.value) for i, t in enumerate(tokens)]
    return [t.value for t in tokenizer.model.tokenize(subword)]


def extend_vocabulary(retriever: Retriever, subwords: Sequence[str]) -> None:
    """Add subwords to a retriever's tokenizer, and their vectors to its embeddings, in place.

    Args:
        retriever: The model.
        subwords: Subwords that the tokenizer lacks, as `learn_subwords` returns them.

    Raises:
        MixlingError: The tokenizer has added tokens behind its vocabulary.
    """
    tokenizer = retriever.tokenizer
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model_type, vocabulary = content["model"]["type"], tokenizer.get_vocab()
    unknown = tokenizer.unk_token_id
    splits = [_split_subword(tokenizer.backend_tokenizer, s, model_type) for s in subwords]
    ids = [[vocabulary.get(t, unknown) for t in split] for split in splits]
    first = len(content["model"]["vocab"])
    if first != len(tokenizer):
        raise MixlingError(
            f"the tokenizer has {len(tokenizer) - first} tokens after its vocabulary, which new "
            "subwords would displace. Use --vocabulary 0."
        )
    if model_type == "Unigram":
        scores = dict(content["model"]["vocab"])
        minimum = min(scores.values()) - 10  # the library's score of an unknown character
        for subword, old in zip(subwords, splits, strict=True):
            score = sum(scores.get(t, minimum) for t in old) + _SCORE_MARGIN * (len(old) - 1)
            content["model"]["vocab"].append([subword, score])
    else:
        content["model"]["vocab"].update({s: first + i for i, s in enumerate(subwords)})
    from tokenizers import Tokenizer

    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
    encoder = retriever.encoder
    old_table = encoder.get_input_embeddings().weight.detach()
    rows = torch.stack([old_table[torch.tensor(i)].mean(0) for i in ids]) if ids else old_table[:0]
    size = first + len(subwords)
    if len(old_table) < size:
        encoder.resize_token_embeddings(size, mean_resizing=False)
    with torch.no_grad():
        encoder.get_input_embeddings().weight[first:size] = rows.to(old_table)


def mask_token(tokenizer: Any) -> int:
    """Return the id of a tokenizer's mask token.

    Args:
        tokenizer: A tokenizer of transformers.

    Raises:
        MixlingError: The tokenizer has none.
    """
    if tokenizer.mask_token_id is not None:
        return int(tokenizer.mask_token_id)
    vocabulary = tokenizer.get_vocab()
    token_id = next((vocabulary[t] for t in ("<mask>", "[MASK]") if t in vocabulary), None)
    if token_id is None:
        raise MixlingError(
            "the tokenizer has no mask token, so no token can be masked. Use --objective distil "
            "only."
        )
    return int(token_id)


def mask_tokens(
    ids: Sequence[int],
    special: frozenset[int],
    mask: int,
    subwords: np.ndarray,
    random: np.random.Generator,
) -> tuple[list[int], np.ndarray]:
    """Mask tokens as BERT does (arXiv:1810.04805, section 3.1).

    It selects 15 % of the tokens that are not special, at least one. Of these 80 % become `mask`,
    10 % become a random subword, and 10 % stay.

    Args:
        ids: Token ids of a text.
        special: Token ids that are never masked.
        mask: Id of the mask token.
        subwords: int `[n]`, token ids to draw random subwords from.
        random: Source of randomness.

    Returns:
        The masked token ids, and the positions that were selected, int64 in rising order.
    """
    masked = np.array(ids)
    maskable = np.array([i for i, t in enumerate(ids) if t not in special], np.int64)
    if not len(maskable):
        return list(ids), maskable
    selected = np.sort(random.permutation(maskable)[: max(1, round(0.15 * len(maskable)))])
    draws = random.random(len(selected))
    masked[selected[draws < 0.8]] = mask
    replaced = selected[draws >= 0.9]
    masked[replaced] = random.choice(subwords, len(replaced))
    return masked.tolist(), selected
