"""Machine translation by a sequence-to-sequence model of the hub, or by any command."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError
from mixling.models import trust

# translates texts from a source into a target language (BCP-47), one for one
Translator = Callable[[Sequence[str], str, str], list[str]]

# how models write a language: NLLB swh_Latn, M2M-100 __sw__, opus-mt >>swh<<, mBART sw_KE
_TOKEN = re.compile(
    r"^(?:__(?P<m2m>\w{2,8})__|>>(?P<opus>[\w-]{2,12})<<"
    r"|(?P<flores>[a-z]{3}_[A-Z][a-z]{3})|(?P<mbart>[a-z]{2}_[A-Z]{2}))$"
)


class Seq2SeqTranslator:
    """Translates by NLLB, M2M-100, mBART-50, opus-mt or a similar model.

    The tokenizer tells how the model names the target language. A model without names of languages
    (a bilingual opus-mt) translates in its one direction, whatever languages are given.

    Args:
        name: The model's folder or name on the hub.
        device: Where it computes; default: a GPU if there is one, else the CPU.
        beams: Beams of the search; 1 is greedy.
        max_batch_tokens: Greatest number of source tokens of a batch.
        trust_remote_code: Run code that the model's folder brings.

    Raises:
        MixlingError: The model cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        device: str | None = None,
        beams: int = 4,
        max_batch_tokens: int = 2048,
        trust_remote_code: bool = False,
    ):
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self.name, self.beams, self.max_batch_tokens = name, beams, max_batch_tokens
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            trust.check_model_files(name, name, trust_remote_code)
            self.tokenizer = AutoTokenizer.from_pretrained(
                name, trust_remote_code=trust_remote_code
            )
            self.model = AutoModelForSeq2SeqLM.from_pretrained(
                name, dtype=torch.float32, trust_remote_code=trust_remote_code
            )
            self.model = self.model.to(self.device).eval()
        except MixlingError:
            raise
        except Exception as error:  # whatever a broken folder makes the libraries raise
            raise trust.load_error(
                error,
                name,
                name,
                trust_remote_code,
                "the translation model cannot be loaded",
                "Give a folder or hub name of NLLB, M2M-100, mBART-50 or opus-mt (the last "
                "needs pip install 'mixling[translate]')",
            ) from None
        self.languages = language_tokens(self.tokenizer.get_vocab())
        positions = getattr(self.model.config, "max_position_embeddings", None) or 1024
        # two positions are for special tokens
        self.max_length = min(positions - 2, self.tokenizer.model_max_length)

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate texts.

        Args:
            texts: The texts.
            source: Their language, BCP-47.
            target: The language to translate into, BCP-47.

        Returns:
            The translations, in the order of the texts.

        Raises:
            MixlingError: The model does not know a language.
        """
        token = self._language_token(target)
        prefix, options = "", dict[str, Any]()
        if token is not None and token.startswith(">>"):
            prefix = token + " "
        elif token is not None:
            options["forced_bos_token_id"] = self.tokenizer.convert_tokens_to_ids(token)
            if hasattr(self.tokenizer, "src_lang"):
                # M2M-100's tokenizer takes sw where its token is __sw__
                name = str(self._language_token(source))
                self.tokenizer.src_lang = name.strip("_") if name.startswith("__") else name
        ids = self.tokenizer(
            [prefix + text for text in texts], truncation=True, max_length=self.max_length
        )["input_ids"]
        translations = [""] * len(texts)
        # texts of similar length share a batch, so that little of it is padding
        order = sorted(range(len(texts)), key=lambda i: -len(ids[i]))
        while order:
            batch = order[: max(1, self.max_batch_tokens // max(len(ids[order[0]]), 1))]
            order = order[len(batch) :]
            generated = self._generate([ids[i] for i in batch], options)
            for i, text in zip(batch, generated, strict=True):
                translations[i] = text.strip()
        return translations

    def _generate(self, ids: list[list[int]], options: dict[str, Any]) -> list[str]:
        """Return the texts that the model generates for source tokens."""
        import torch

        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
        source_length = batch["input_ids"].shape[1]
        with torch.inference_mode():
            generated = self.model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                num_beams=self.beams,
                max_new_tokens=min(2 * source_length + 10, self.max_length),
                **options,
            )
        texts: list[str] = self.tokenizer.batch_decode(generated, skip_special_tokens=True)
        return texts

    def _language_token(self, language: str) -> str | None:
        """Return the token that names a language; None if the model names none."""
        if not self.languages:
            return None
        if language not in self.languages:
            raise MixlingError(
                f"{self.name}: the model does not know '{language}'. Its languages are: "
                f"{', '.join(sorted(self.languages))}"
            )
        return self.languages[language]


def language_tokens(vocabulary: dict[str, int]) -> dict[str, str]:
    """Return the tokens of a vocabulary that name languages.

    Args:
        vocabulary: The id of each token.

    Returns:
        The token of each language by its BCP-47 tag; of several tokens of one language, the one
        with the lowest id.
    """
    tokens: dict[str, str] = {}
    for token in sorted(vocabulary, key=lambda t: vocabulary[t]):
        match = _TOKEN.match(token)
        if match is None:
            continue
        code = next(group for group in match.groups() if group)
        try:
            tag = language_tag(code.split("_")[0] if match["mbart"] else code)
        except MixlingError:
            continue
        tokens.setdefault(tag, token)
    return tokens


class CommandTranslator:
    """Translates by a command that reads a text a line and writes a line for each.

    Args:
        command: The command, with {source} and {target} where the languages go, for instance
            "trans -b {source}:{target}".

    Raises:
        MixlingError: The command cannot be parsed.
    """

    def __init__(self, command: str):
        self.name = command
        try:
            self.arguments = shlex.split(command)
            for argument in self.arguments:
                argument.format(source="", target="")
        except (ValueError, LookupError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise MixlingError(
                f"the command {command!r} cannot be parsed ({reason}). Quote it as for a shell, "
                "with {source} and {target} for the languages; write other braces as {{ and }}."
            ) from None
        if not self.arguments:
            raise MixlingError("the command is empty. Give a program that translates its input.")

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate texts; line breaks inside a text become spaces.

        Args:
            texts: The texts.
            source: Their language, BCP-47.
            target: The language to translate into, BCP-47.

        Returns:
            The translations, in the order of the texts.

        Raises:
            MixlingError: The command fails or does not write a line for each text.
        """
        arguments = [x.format(source=source, target=target) for x in self.arguments]
        lines = "".join(" ".join(text.split()) + "\n" for text in texts)
        try:
            process = subprocess.run(
                arguments,
                input=lines,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
        except UnicodeError as error:
            raise MixlingError(
                f"the command {self.name!r} must read and write UTF-8 ({error})."
            ) from None
        except OSError as error:
            raise MixlingError(
                f"the command {self.name!r} cannot be run ({error}). Check that the program is "
                "installed."
            ) from None
        if process.returncode:
            raise MixlingError(
                f"the command {self.name!r} ended with status {process.returncode}: "
                f"{process.stderr.strip()[-300:] or 'it wrote no message'}"
            )
        output = process.stdout.removesuffix("\n").split("\n") if process.stdout else []
        if len(output) != len(texts):
            raise MixlingError(
                f"the command {self.name!r} read {len(texts)} lines and wrote {len(output)}. It "
                "must write one line for each."
            )
        return [line.strip() for line in output]
