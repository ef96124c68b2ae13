"""Model libraries without their chatter: our own progress says what happens."""

from __future__ import annotations

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Errors only, no progress bars, from transformers, sentence-transformers and the hub."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings(
        "ignore", message="IProgress not found"
    )  # of progress bars in notebooks, which are off
    import transformers

    # else a model with code of its own makes transformers ask on the terminal whether to run it
    transformers.dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in ("sentence_transformers", "huggingface_hub", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
