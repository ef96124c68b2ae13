"""Silence the progress bars and notices of the model libraries. Only the command line does this."""

from __future__ import annotations

import logging
import os
import sys
import warnings

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def quiet_libraries() -> None:
    """Let transformers, sentence-transformers and the hub report errors only, without progress bars.

    The libraries read their environment when they are imported, so this imports none of them. A
    report of missing or unexpected weights is read in `stored.capture_load_report` and stays visible.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "transformers" in sys.modules:
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
    for name in ("sentence_transformers", "huggingface_hub", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="IProgress not found")  # progress bars in notebooks
    warnings.filterwarnings("ignore", category=FutureWarning)
