"""Machine translation by a sequence-to-sequence model of the hub, or by any command that reads a text a line."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError
from mixling.models import trust

# translates texts from one language (BCP-47) into another, one for one
Translator = Callable[[Sequence[str], str, str], list[str]]

# how models write a language: NLLB swh_Latn, M2M-100 __sw__, opus-mt >>swh<<, mBART sw_KE
_TOKEN = re.compile(
    r"^(?:__(?P<m2m>\w{2,8})__|>>(?P<opus>[\w-]{2,12})<<|(?P<flores>[a-z]{3}_[A-Z][a-z]{3})|(?P<mbart>[a-z]{2}_[A-Z]{2}))$"
)


class Seq2SeqTranslator:
    """NLLB, M2M-100, mBART-50, opus-mt and their kin: how the target is named is read from the tokenizer.

    A model without names of languages (a bilingual opus-mt) translates as it does, whatever is asked for. beams: 1 is
    greedy; budget: tokens of a batch; trust_remote_code: as of Retriever. Raises MixlingError when the model cannot be had or does not know a language.
    """

    def __init__(
        self,
        name: str,
        device: str | None = None,
        beams: int = 4,
        budget: int = 2048,
        trust_remote_code: bool = False,
    ):
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self.name, self.beams, self.budget = name, beams, budget
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            trust.examine(name, name, trust_remote_code)
            more = {"trust_remote_code": trust_remote_code}
            self.tokenizer = AutoTokenizer.from_pretrained(name, **more)
            self.model = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=torch.float32, **more)
            self.model = self.model.to(self.device).eval()
        except MixlingError:
            raise
        except Exception as error:  # whatever a broken folder makes the libraries raise
            raise trust.explained(
                error,
                name,
                name,
                trust_remote_code,
                "not a translation model that can be loaded",
                "give a folder or hub name of NLLB, M2M-100, mBART-50 or opus-mt (the last needs pip install "
                "'mixling[translate]')",
            ) from None
        self.languages = language_tokens(self.tokenizer.get_vocab())
        most = getattr(self.model.config, "max_position_embeddings", None) or 1024
        self.longest = min(most - 2, self.tokenizer.model_max_length)

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translations, in the order of the texts."""
        token = self._token(target)
        prefix, more = "", dict[str, Any]()
        if token is not None and token.startswith(">>"):
            prefix = token + " "
        elif token is not None:
            more["forced_bos_token_id"] = self.tokenizer.convert_tokens_to_ids(token)
            if hasattr(self.tokenizer, "src_lang"):
                own = self._token(source)
                self.tokenizer.src_lang = str(own).strip("_") if str(own).startswith("__") else own
        ids = self.tokenizer([prefix + t for t in texts], truncation=True, max_length=self.longest)[
            "input_ids"
        ]
        out = [""] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: -len(ids[i]))
        while order:
            some = order[: max(1, self.budget // max(len(ids[order[0]]), 1))]
            order = order[len(some) :]
            for i, text in zip(some, self._generate([ids[i] for i in some], more), strict=True):
                out[i] = text.strip()
        return out

    def _generate(self, ids: list[list[int]], more: dict[str, Any]) -> list[str]:
        import torch

        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
        longest = batch["input_ids"].shape[1]
        with torch.inference_mode():
            made = self.model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                num_beams=self.beams,
                max_new_tokens=min(2 * longest + 10, self.longest),
                **more,
            )
        return self.tokenizer.batch_decode(made, skip_special_tokens=True)

    def _token(self, language: str) -> str | None:
        if not self.languages:
            return None
        if language not in self.languages:
            raise MixlingError(
                f"{self.name} does not know '{language}'; it knows {', '.join(sorted(self.languages))}"
            )
        return self.languages[language]


def language_tokens(vocabulary: dict[str, int]) -> dict[str, str]:
    """BCP-47 tag -> token, of the tokens that are names of languages. Several of one language: the first in the vocabulary."""
    found: dict[str, str] = {}
    for token in sorted(vocabulary, key=lambda t: vocabulary[t]):
        match = _TOKEN.match(token)
        if match is None:
            continue
        written = next(x for x in match.groups() if x)
        try:
            found.setdefault(
                language_tag(written.split("_")[0] if match["mbart"] else written), token
            )
        except MixlingError:
            continue
    return found


class CommandTranslator:
    """A command that reads texts on standard input, one a line, and writes as many lines.

    command: with {source} and {target} where the languages go, for instance "trans -b {source}:{target}".
    """

    def __init__(self, command: str):
        self.name = command
        try:
            self.parts = shlex.split(command)
            self.parts[0].format(source="", target="")
        except (ValueError, IndexError, KeyError) as error:
            raise MixlingError(f"--command {command!r}: cannot be read ({error})") from None

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translations, in the order of the texts; line breaks inside a text become spaces."""
        parts = [p.format(source=source, target=target) for p in self.parts]
        lines = "".join(" ".join(t.split()) + "\n" for t in texts)
        try:
            done = subprocess.run(parts, input=lines, capture_output=True, text=True, check=False)
        except OSError as error:
            raise MixlingError(f"--command {self.name!r}: cannot be run ({error})") from None
        if done.returncode:
            raise MixlingError(
                f"--command {self.name!r}: ended with {done.returncode}: {done.stderr.strip()[-300:]}"
            )
        out = done.stdout.removesuffix("\n").split("\n") if done.stdout else []
        if len(out) != len(texts):
            raise MixlingError(
                f"--command {self.name!r}: read {len(texts)} lines and wrote {len(out)}; it must write one for each"
            )
        return [x.strip() for x in out]
