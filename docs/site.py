"""Hook of the site: the version in the footer of every page, and edit links.

Pages have edit links if the environment variable MIXLING_REPOSITORY names the repository's address.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def on_config(config: Any) -> Any:
    """Write the version into the copyright line, and set the address of edit links."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    config.copyright = f"Mixling {project['version']} · Apache-2.0"
    if repository := os.environ.get("MIXLING_REPOSITORY"):
        config.repo_url, config.edit_uri = repository, "edit/main/docs/"
    return config
