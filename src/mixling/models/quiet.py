"""Silence the progress bars and notices of the model libraries.

The command line does this for its whole process. The library does it only while it writes files
that a caller does not know of.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}


def quiet_libraries() -> None:
    """Let transformers, sentence-transformers and the hub report errors only, without bars.

    The libraries read their environment when they are imported, so this imports none of them.
    Reports of missing or unexpected weights stay visible (`stored.capture_load_report`).
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "transformers" in sys.modules:
        import transformers

        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in ("sentence_transformers", "huggingface_hub", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="IProgress not found")  # progress bars in notebooks
    warnings.filterwarnings("ignore", category=FutureWarning)


@contextmanager
def without_bars() -> Iterator[None]:
    """Let transformers show no progress bars while the block runs."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
