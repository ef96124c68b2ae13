"""Refuse models whose files bring code, unless the user trusts it.

transformers, sentence-transformers and peft run Python code that a model's files name:

- classes of `auto_map` in config.json and similar files,
- types in modules.json that belong neither to sentence-transformers nor to Mixling,
- a library that an adapter names,
- an attention kernel of the hub.

Without `--trust-remote-code` (`trust_remote_code=True`) such a model is refused, and no library
asks on the terminal. Mixling's own modules (`MIXLING_MODULES`) load by their class, which permits
no other code of the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.errors import MixlingError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Modules of Mixling that may stand in a chain, by the name of their class.
MIXLING_MODULES = (
    "mixling.models.hub_correction.HubCorrectionModule",
    "mixling.models.language_transform.LanguageTransformModule",
)
# transformers reads these files for a model, its tokenizer and its processor
CONFIG_FILES = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
# sentence-transformers passes these fields of sentence_bert_config.json to transformers
PASSED_FIELDS = ("model_args", "model_kwargs", "config_args", "config_kwargs")
# arguments of sentence-transformers' Transformer that carry `trust_remote_code` to transformers
TRUST_ARGUMENTS = ("model_kwargs", "processor_kwargs", "config_kwargs")
MIN_CHECKED_SIZE = 1 << 20  # numbers: a config.json that describes fewer is not checked
# Numbers of a model for each byte of its weights' files at most. Weights of 4 bits hold two a
# byte, and layers may share their weights.
MAX_NUMBERS_PER_BYTE = 32


def find_code(folder: str) -> list[str]:
    """Return the code that a model's files name.

    Args:
        folder: A folder or hub name.

    Returns:
        Parts of a message such as "class M in stranger.py (config.json)".
    """
    modules = module_entries(folder)
    code = [x for m in modules for x in _foreign_classes(m.get("type"), "modules.json")]
    for prefix in _prefixes(modules):
        for file in CONFIG_FILES:
            for references in _auto_map(read_json(folder, prefix + file)):
                code += _foreign_classes(references, prefix + file)
        router = read_json(folder, f"{prefix}router_config.json")
        types = router.get("types") if isinstance(router, dict) else None
        for reference in types.values() if isinstance(types, dict) else ():
            code += _foreign_classes(reference, f"{prefix}router_config.json")
        file = f"{prefix}wordembedding_config.json"
        word_embeddings = read_json(folder, file)
        if isinstance(word_embeddings, dict):
            code += _foreign_classes(word_embeddings.get("tokenizer_class"), file)
    return list(dict.fromkeys([*code, *find_ungated_code(folder)]))


def find_ungated_code(folder: str) -> list[str]:
    """Return the code that a model's files name and the libraries run without asking for trust.

    Args:
        folder: A folder or hub name.

    Returns:
        Parts of a message such as "kernel owner/name of the hub (config.json)".
    """
    code = []
    for prefix in _prefixes(module_entries(folder)):
        adapter = read_json(folder, f"{prefix}adapter_config.json")
        if isinstance(adapter, dict) and adapter.get("megatron_config"):
            code.append(f"module {adapter.get('megatron_core')} ({prefix}adapter_config.json)")
        config = read_json(folder, f"{prefix}sentence_bert_config.json")
        tables = [config.get(k) for k in PASSED_FIELDS] if isinstance(config, dict) else []
        for table in [read_json(folder, f"{prefix}config.json"), *tables]:
            for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
                value = table.get(key) if isinstance(table, dict) else None
                kernels = value.values() if isinstance(value, dict) else [value]
                code += [
                    f"kernel {k} of the hub ({prefix}…config.json)"
                    for k in kernels
                    if isinstance(k, str) and "/" in k
                ]
    return code


def check_model_files(folder: str, name: str, trusted: bool) -> None:
    """Check a model's files before a library loads any of them.

    Args:
        folder: A folder or hub name.
        name: The model's name in messages.
        trusted: Whether the user trusts the model's code.

    Raises:
        MixlingError: The files name code that a library would run without asking, hold a pipe or
            a device, or describe a model that is far larger than its weights.
    """
    from transformers import dynamic_module_utils

    # Without this, transformers asks on the terminal whether to run the code of a model.
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    if Path(folder).is_dir():
        check_regular_files(Path(folder), name)
    if not trusted and (code := find_ungated_code(folder)):
        raise _code_refusal(name, code)
    if Path(folder).is_dir():
        for prefix in _prefixes(module_entries(folder)):
            _check_size(Path(folder) / prefix, name)


def check_regular_files(folder: Path, name: str) -> None:
    """Refuse a folder that holds a pipe or a device, which a library would read without end.

    Args:
        folder: A model's folder.
        name: The model's name in messages.

    Raises:
        MixlingError: A file is neither a regular file nor a folder.
    """
    for path in folder.rglob("*"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise MixlingError(
                f"{name}: {path} is neither a file nor a folder. Fetch the folder again."
            )


def load_error(
    error: Exception, folder: str, name: str, trusted: bool, problem: str, remedy: str
) -> MixlingError:
    """Convert the error of a library that loaded a model to one message.

    Args:
        error: The error of the library.
        folder: A folder or hub name.
        name: The model's name in messages.
        trusted: Whether the user trusts the model's code.
        problem: What is wrong with the model.
        remedy: How to mend it.

    Returns:
        An error that names the model's code if the library wants it trusted, else one that states
        the problem and the remedy.
    """
    reason = (str(error).strip().splitlines() or [""])[0]
    if "trust_remote_code" in str(error) and not trusted:
        return _code_refusal(name, find_code(folder) or [reason])
    return MixlingError(f"{name}: {problem} ({type(error).__name__}: {reason}). {remedy}.")


def load_with_modules(folder: str, device: str | None, trusted: bool) -> SentenceTransformer:
    """Load a sentence-transformers model in fp32, with Mixling's classes for Mixling's modules.

    Args:
        folder: A folder or hub name.
        device: Where to compute. Default: a GPU if there is one.
        trusted: Whether to run the model's code.

    Returns:
        The model.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    from mixling.models.hub_correction import HubCorrectionModule
    from mixling.models.language_transform import LanguageTransformModule

    own = (HubCorrectionModule, LanguageTransformModule)
    return SentenceTransformer._load_with_module_classes(
        folder,
        dict(zip(MIXLING_MODULES, own, strict=True)),
        device=device,
        trust_remote_code=trusted,
        model_kwargs={"dtype": torch.float32},
    )


def read_companion(folder: str, file: str) -> dict[str, Any]:
    """Read a JSON file that Mixling wrote into a model's folder.

    Args:
        folder: A folder or hub name.
        file: The file's name, such as "origin.json" or "scores.json".

    Returns:
        The content, or an empty dictionary if there is no such file.

    Raises:
        MixlingError: The file holds no JSON object.
    """
    path = model_file(folder, file)
    if path is None:
        return {}
    content = read_json(folder, file)
    if not isinstance(content, dict):
        raise MixlingError(
            f"{path}: the file is not a JSON object. Fetch the model again, or remove the file."
        )
    return content


def _code_refusal(name: str, code: list[str]) -> MixlingError:
    """Return the error for a model that brings code."""
    return MixlingError(
        f"{name}: the model comes with Python code of its own, which Mixling does not run "
        f"without permission: {'; '.join(code)}. Read the code, and if you trust it, allow it "
        "with --trust-remote-code (trust_remote_code=True in Python, trust_remote_code = true "
        "under [model] in a configuration)."
    )


def module_entries(folder: str) -> list[dict[str, Any]]:
    """Return the entries of modules.json.

    Args:
        folder: A folder or hub name.

    Returns:
        The entries, or an empty list if there is no such file.
    """
    modules = read_json(folder, "modules.json")
    return [m for m in modules if isinstance(m, dict)] if isinstance(modules, list) else []


def _prefixes(modules: list[dict[str, Any]]) -> list[str]:
    """Return "" and the folders of the modules as prefixes of a file's path, each once."""
    folders = dict.fromkeys(["", *(str(m.get("path") or "") for m in modules)])
    return [f"{folder}/" if folder else "" for folder in folders]


def _auto_map(config: Any) -> Iterator[Any]:
    """Yield the references of `auto_map`: "module.Class", or a list of such."""
    references = config.get("auto_map") if isinstance(config, dict) else None
    if references:
        yield from references.values() if isinstance(references, dict) else [references]


def _foreign_classes(reference: Any, file: str) -> list[str]:
    """Describe a class that is neither sentence-transformers' nor Mixling's.

    Args:
        reference: "stranger.M" or "owner/name--stranger.M", or a list of such.
        file: The file that names the class.

    Returns:
        Parts of a message such as "class M in stranger.py (modules.json)".
    """
    if isinstance(reference, list | tuple):
        return [x for r in reference for x in _foreign_classes(r, file)]
    if (
        not isinstance(reference, str)
        or reference.startswith("sentence_transformers.")
        or reference in MIXLING_MODULES
    ):
        return []
    repository, _, path = reference.rpartition("--")
    module, _, class_name = path.rpartition(".")
    origin = f" of {repository}" if repository else ""
    return [f"class {class_name} in {module.replace('.', '/')}.py{origin} ({file})"]


def read_json(folder: str, file: str) -> Any:
    """Read a JSON file of a model; an error in it is reported by the library that loads it.

    Args:
        folder: A folder or hub name.
        file: The file's path in the folder.

    Returns:
        The content, or None if it cannot be read.
    """
    path = model_file(folder, file)
    try:
        return None if path is None else json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # the library that loads the file reports the error


def model_file(folder: str, file: str) -> Path | None:
    """Return the path of a model's file, which is fetched if the model is on the hub alone.

    Args:
        folder: A folder or hub name.
        file: The file's path in the folder.

    Returns:
        The path, or None if there is no such file.
    """
    from sentence_transformers.util.file_io import load_file_path

    try:
        found = Path(folder) / file if Path(folder).is_dir() else load_file_path(folder, file)
        return Path(found) if found is not None and Path(found).is_file() else None
    except (OSError, ValueError):
        return None


def _check_size(folder: Path, name: str) -> None:
    """Refuse a config.json that describes far more numbers than the weights' files hold.

    Such a model would fill the memory. The count is a lower estimate, from the sizes that
    architectures name in their config.json.
    """
    config = read_json(str(folder), "config.json")
    files = [p for pattern in ("*.safetensors", "*.bin") for p in folder.glob(pattern)]
    if not isinstance(config, dict) or not files:
        return

    def size(*keys: str) -> int:
        values = [config.get(k) for k in keys]
        return max((abs(v) for v in values if isinstance(v, int)), default=0)

    hidden = size("hidden_size", "d_model", "dim", "n_embd", "embedding_size")
    layers = size("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers")
    inner = size("intermediate_size", "d_ff", "hidden_dim", "encoder_ffn_dim")
    # ALBERT's and ELECTRA's token embeddings are narrower than the hidden states.
    word_embeddings = size("vocab_size") * min(hidden, size("embedding_size") or hidden)
    positions = size("max_position_embeddings", "n_positions") + size("type_vocab_size")
    # Layers may share their weights (ALBERT), so the matrix of one layer counts, and of each layer
    # a vector or two numbers a head.
    claimed = (
        word_embeddings
        + positions * hidden
        + hidden * max(hidden, inner)
        + layers * max(hidden, 32)
    )
    claimed += size("in_features") * size("out_features")  # Dense
    languages = config.get("languages")  # LanguageTransformModule
    n_languages = len(languages if isinstance(languages, list) else ())
    claimed += size("size") * ((2 + size("directions")) * n_languages + size("references"))
    n_bytes = sum(p.stat().st_size for p in files)
    if claimed > MIN_CHECKED_SIZE and claimed > MAX_NUMBERS_PER_BYTE * n_bytes:
        raise MixlingError(
            f"{name}: {folder / 'config.json'} describes a model of more than {claimed:,} "
            f"numbers, but its weights hold {n_bytes:,} bytes. The folder is broken: fetch it "
            "again."
        )
