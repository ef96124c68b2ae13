"""Claim: a passage takes the same time and memory to encode at 10^4, 10^5 and 10^6 passages.

    python -m benchmarks.growth

Encodes short synthetic passages by `mixling encode`'s function with a small random encoder (2
layers, 64 dimensions), each size in its own process, in fp32.
"""

from __future__ import annotations

import random
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sides import Turns, alternate, write

SIZES = (10_000, 100_000, 1_000_000)


def model(folder: Path) -> str:
    """Write a small random encoder with a tokenizer of a thousand synthetic words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(1000))]
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=128
    ).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=130,
            pad_token_id=1,
        )
    ).save_pretrained(folder)
    return str(folder)


def side(n: int, turns: Turns) -> None:
    """Encode a file of n passages."""
    from mixling.encoding.shards import encode

    folder = Path(tempfile.mkdtemp())
    random_state = random.Random(0)
    with (folder / "texts.txt").open("w") as out:
        for _ in range(n):
            out.write(
                " ".join(
                    f"w{random_state.randrange(1000)}" for _ in range(random_state.randrange(5, 20))
                )
                + "\n"
            )
    name = model(folder / "model")
    turns.wait()
    start_time = time.perf_counter()
    encode(name, folder / "texts.txt", folder / "out", precision="fp32")
    turns.done(passages=n, microseconds=round(1e6 * (time.perf_counter() - start_time) / n, 1))


def main() -> None:
    """Measure, print and write the result."""
    result = alternate({f"{n:,}": partial(side, n) for n in SIZES}, 1, warm=0)
    rows = {name: facts[0] for name, facts in result["sides"].items()}
    row: dict[str, Any] = {
        "microseconds a passage": {k: v["microseconds"] for k, v in rows.items()},
        "peak GiB": {k: v["peak GiB"] for k, v in rows.items()},
        "most over least, 10^6 to 10^5, time a passage": round(
            rows["1,000,000"]["microseconds"] / rows["100,000"]["microseconds"], 3
        ),
    }
    write(__file__, {**row, **result})


if __name__ == "__main__":
    main()
