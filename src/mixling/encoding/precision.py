"""Which number format to encode in: what the processor has decides, and where it has bf16, a trial of a second."""

from __future__ import annotations

import sys
import time

import torch

from mixling.errors import NotFinite, choose
from mixling.machine import cpu_flags, has_bf16
from mixling.models.retriever import PRECISIONS, Retriever

CHOICES = ("auto", *PRECISIONS)


def choose_precision(retriever: Retriever, wanted: str = "auto") -> str:
    """ "fp32" or "bf16": as wanted, or what encodes faster here, said in one line."""
    choose(wanted, CHOICES, "precision")
    if wanted != "auto":
        return wanted
    if next(retriever.model.parameters()).is_cuda:
        return _say("bf16" if torch.cuda.is_bf16_supported() else "fp32", "on the GPU")
    if not has_bf16():
        return _say(
            "fp32",
            f"this processor has no bf16 instructions (it has: {', '.join(sorted(cpu_flags())) or 'none'})",
        )
    random = torch.Generator().manual_seed(0)
    most = len(retriever.tokenizer)
    tokens = torch.randint(most, (16, min(64, retriever.max_length)), generator=random).tolist()
    best = dict.fromkeys(PRECISIONS, float("inf"))
    try:
        for name in PRECISIONS:  # the first call of each makes what later ones reuse
            retriever.encode_head(tokens, precision=name)
    except NotFinite:  # of random words; where texts have none either, encoding them says so
        return _say("fp32", "a trial gave vectors that are not finite")
    begun = time.perf_counter()
    while best["fp32"] == float("inf") or time.perf_counter() - begun < 1:
        for name in PRECISIONS:
            start = time.perf_counter()
            retriever.encode_head(tokens, precision=name)
            best[name] = min(best[name], time.perf_counter() - start)
    faster = min(best, key=lambda name: best[name])
    return _say(
        faster, f"by trial, {best['fp32'] / best['bf16']:.1f} times as fast in bf16 as in fp32"
    )


def _say(name: str, why: str) -> str:
    print(f"mixling: encoding in {name}: {why}", file=sys.stderr)
    return name
