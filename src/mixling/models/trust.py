"""What a model's folder may make us run: nothing, unless the user says so.

transformers, sentence-transformers and peft run Python that a model's files name: classes of `auto_map` in config.json and its
like, types in modules.json that are neither sentence-transformers' nor Mixling's, a library that an adapter names, an attention
kernel of the hub. Without `--trust-remote-code` (`trust_remote_code=True`) such a model is refused, and nobody is asked on the
terminal. Mixling's own modules (`OURS`) load by their class, which opens nothing for the rest of the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.errors import MixlingError
from mixling.models.language_transform import LanguageTransformModule

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

OURS = {f"{c.__module__}.{c.__name__}": c for c in (LanguageTransformModule,)}
# what transformers reads for a model, its tokenizer and its processor
CONFIGURATIONS = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
# sentence-transformers passes on what these files say to transformers
ARGUMENTS = ("model_args", "model_kwargs", "config_args", "config_kwargs")
# how sentence-transformers' Transformer hands trust on
PASSED_ON = ("model_kwargs", "processor_kwargs", "config_kwargs")
SMALLEST = 1 << 20  # bytes: a model that claims less is not weighed
SHARED = 32  # times that a model may be larger than its weights' files (4 bits a number, layers that share their weights)


def code_of(folder: str) -> list[str]:
    """What a model's files name to be run, as sentences' ends: "class M in stranger.py (config.json)". folder: or a hub's name."""
    chain = _json(folder, "modules.json")
    modules = [m for m in chain if isinstance(m, dict)] if isinstance(chain, list) else []
    found = [x for m in modules for x in _foreign(m.get("type"), "modules.json")]
    for part in dict.fromkeys(["", *(str(m.get("path") or "") for m in modules)]):
        inside = f"{part}/" if part else ""
        for name in CONFIGURATIONS:
            config = _json(folder, inside + name)
            for refs in _mapped(config):
                found += _foreign(refs, inside + name)
        router = _json(folder, f"{inside}router_config.json")
        types = router.get("types") if isinstance(router, dict) else None
        for kind in types.values() if isinstance(types, dict) else ():
            found += _foreign(kind, f"{inside}router_config.json")
        words = _json(folder, f"{inside}wordembedding_config.json")
        if isinstance(words, dict):
            found += _foreign(words.get("tokenizer_class"), f"{inside}wordembedding_config.json")
    return list(
        dict.fromkeys([*found, *ungated(folder, [str(m.get("path") or "") for m in modules])])
    )


def ungated(folder: str, parts: list[str]) -> list[str]:
    """Of what a model's files name to be run, that which the libraries would run without asking for trust."""
    found = []
    for part in dict.fromkeys(["", *parts]):
        inside = f"{part}/" if part else ""
        adapter = _json(folder, f"{inside}adapter_config.json")
        if isinstance(adapter, dict) and adapter.get("megatron_config"):
            found.append(f"module {adapter.get('megatron_core')} ({inside}adapter_config.json)")
        settings = _json(folder, f"{inside}sentence_bert_config.json")
        tables = [settings.get(k) for k in ARGUMENTS] if isinstance(settings, dict) else []
        for table in [_json(folder, f"{inside}config.json"), *tables]:
            for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
                value = table.get(key) if isinstance(table, dict) else None
                kernels = value.values() if isinstance(value, dict) else [value]
                found += [
                    f"kernel {k} of the hub ({inside}…config.json)"
                    for k in kernels
                    if isinstance(k, str) and "/" in k
                ]
    return found


def examine(folder: str, name: str, trusted: bool) -> None:
    """Look at a model's files before anything is loaded. Raises MixlingError where they name code that a library would run without
    asking, or describe a model that is far larger than its weights."""
    from transformers import dynamic_module_utils

    # else a model with code of its own makes transformers ask on the terminal whether to run it
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    if Path(folder).is_dir():
        plain_files(Path(folder), name)
    chain = _json(folder, "modules.json")
    parts = (
        [str(m.get("path") or "") for m in chain if isinstance(m, dict)]
        if isinstance(chain, list)
        else []
    )
    if not trusted and (code := ungated(folder, parts)):
        raise refusal(name, code)
    if Path(folder).is_dir():
        for part in dict.fromkeys(["", *parts]):
            _weigh(Path(folder) / part, name)


def plain_files(folder: Path, name: str) -> None:
    """Refuse a folder with a pipe or a device among its files, which would be read without end."""
    for path in folder.rglob("*"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise MixlingError(f"{name}: {path} is no ordinary file; fetch the folder again")


def explained(
    error: Exception, folder: str, name: str, trusted: bool, what: str, mend: str
) -> MixlingError:
    """The error of a library that loaded a model as one message: the code that it asks to be trusted with, else what is wrong
    and how to mend it."""
    first = (str(error).strip().splitlines() or [""])[0]
    if "trust_remote_code" in str(error) and not trusted:
        return refusal(name, code_of(folder) or [first])
    return MixlingError(f"{name}: {what} ({type(error).__name__}: {first}); {mend}")


def refusal(name: str, code: list[str]) -> MixlingError:
    """That a model brings code."""
    return MixlingError(
        f"{name}: brings Python code of its own, which is not run unasked: {'; '.join(code)}. Read the code, and if you trust it "
        "allow it with --trust-remote-code (trust_remote_code=True in Python, trust_remote_code = true under [model] in a "
        "configuration)"
    )


def chain(folder: str, device: str | None, trusted: bool) -> SentenceTransformer:
    """A sentence-transformers folder, or hub name, with Mixling's own modules where it has some."""
    import torch
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer._load_with_module_classes(
        folder,
        OURS,
        device=device,
        trust_remote_code=trusted,
        model_kwargs={"dtype": torch.float32},
    )


def beside(folder: str, file: str) -> dict[str, Any]:
    """What Mixling wrote beside a model (origin.json, scores.json); {} where it wrote nothing. Raises MixlingError."""
    path = Path(folder) / file
    if not path.exists():
        return {}
    found = _json(folder, file)
    if not isinstance(found, dict):
        raise MixlingError(f"{path}: not a JSON object; fetch the model again, or remove the file")
    return found


def _mapped(config: Any) -> Iterator[Any]:
    """What `auto_map` refers to, where transformers itself does not know the model's type."""
    refs = config.get("auto_map") if isinstance(config, dict) else None
    if refs:
        yield from refs.values() if isinstance(refs, dict) else [refs]


def _foreign(reference: Any, file: str) -> list[str]:
    """ "stranger.M" or "owner/name--stranger.M" (or several) as "class M in stranger.py (file)"; none for what is known."""
    if isinstance(reference, list | tuple):
        return [x for r in reference for x in _foreign(r, file)]
    if (
        not isinstance(reference, str)
        or reference.startswith("sentence_transformers.")
        or reference in OURS
    ):
        return []
    repository, _, path = reference.rpartition("--")
    module, _, kind = path.rpartition(".")
    of = f" of {repository}" if repository else ""
    return [f"class {kind} in {module.replace('.', '/')}.py{of} ({file})"]


def _json(folder: str, file: str) -> Any:
    """The content of a JSON file of a model's folder or of the hub; None where there is none."""
    from sentence_transformers.util.file_io import load_file_path

    try:
        path = Path(folder) / file if Path(folder).is_dir() else load_file_path(folder, file)
        return (
            None
            if path is None or not Path(path).is_file()
            else json.loads(Path(path).read_bytes())
        )
    except (OSError, ValueError, RecursionError):
        return None  # whoever loads it says so


def _weigh(folder: Path, name: str) -> None:
    """Refuse a config.json whose sizes say far more numbers than the weights beside it hold: they would fill the memory."""
    config = _json(str(folder), "config.json")
    files = [p for pattern in ("*.safetensors", "*.bin") for p in folder.glob(pattern)]
    if not isinstance(config, dict) or not files:
        return

    def size(*names: str) -> int:
        found = [config.get(n) for n in names]
        return max((abs(v) for v in found if isinstance(v, int)), default=0)

    hidden = size("hidden_size", "d_model", "dim", "n_embd", "embedding_size")
    layers = size("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers")
    inner = size("intermediate_size", "d_ff", "hidden_dim", "encoder_ffn_dim")
    words = size("vocab_size") * min(hidden, size("embedding_size") or hidden)
    places = size("max_position_embeddings", "n_positions") + size("type_vocab_size")
    claimed = words + places * hidden + hidden * max(hidden, inner) + layers * max(hidden, 32)
    claimed += size("in_features") * size("out_features")  # of Dense
    languages = config.get("languages")
    claimed += (
        size("size")
        * (2 + size("directions"))
        * len(languages if isinstance(languages, list) else ())
    )
    held = sum(p.stat().st_size for p in files)
    if claimed > SMALLEST and claimed > SHARED * held:
        raise MixlingError(
            f"{name}: {folder / 'config.json'} describes a model of more than {claimed:,} numbers, but its weights hold {held:,} "
            "bytes; the folder is broken, fetch it again"
        )
