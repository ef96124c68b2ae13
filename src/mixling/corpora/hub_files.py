"""Data sets of the Hugging Face hub as files: their listing, download, and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixling.corpora.downloads import file_size
from mixling.corpora.source import Files, Repository, Source
from mixling.disk import disk_message
from mixling.errors import MixlingError
from mixling.progress import Progress

TIMEOUT = 30  # seconds without an answer


class GatedError(MixlingError):
    """A data set of the hub whose publisher has not given this user access."""


def list_repository(
    repository: Repository, source: Source, revision: str | None, needed: Sequence[Files] = ()
) -> tuple[str, dict[str, int]]:
    """Ask the hub for the files of a data set.

    Args:
        repository: The data set.
        source: The source, for errors.
        revision: The commit; None: the newest one.
        needed: The files that are needed, for errors.

    Returns:
        The commit, and the size of each file by its path.

    Raises:
        MixlingError: The hub does not answer or does not have it.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    try:
        # asked first, because this call fails at once without a network: the next retries for long
        info = api.dataset_info(repository.name, revision=revision, timeout=TIMEOUT)
        revision = revision or info.sha or "main"
        tree = api.list_repo_tree(
            repository.name, recursive=True, revision=revision, repo_type="dataset"
        )
        return revision, {f.path: f.size for f in tree if isinstance(f, RepoFile)}
    except Exception as error:
        raise hub_error(error, repository, source, needed, revision) from None


def hub_error(
    error: BaseException,
    repository: Repository,
    source: Source,
    needed: Iterable[Files],
    revision: str | None,
) -> MixlingError:
    """Convert an error of huggingface_hub to one message: the reason, and what to do.

    Args:
        error: The error.
        repository: The data set.
        source: The source.
        needed: The files that are needed, for the command that fetches them by hand.
        revision: The commit that was asked for.

    Returns:
        The error to raise.
    """
    from huggingface_hub import constants, errors, get_token

    page = f"{constants.ENDPOINT}/datasets/{repository.name}"
    causes = [error, error.__cause__, error.__context__]
    status = next((s for c in causes if (s := _status(c)) is not None), None)
    disk = next((m for c in causes if c is not None and (m := disk_message(c))), None)
    if disk is not None:
        return MixlingError(f"{source.name}: {disk}")

    def is_a(*types: type[BaseException]) -> bool:
        return any(isinstance(c, types) for c in causes)

    if is_a(errors.GatedRepoError):
        token = "the token that is set has no access" if get_token() else "no token is set"
        return GatedError(
            f"{source.name}: hub data set {repository.name} is gated, and {token}. Accept its "
            f"terms at {page}, then run `hf auth login` or set HF_TOKEN."
        )
    if is_a(errors.RevisionNotFoundError):
        return MixlingError(
            f"{source.name}: hub data set {repository.name} has no commit {revision}, because "
            f"its history was rewritten. {_hub_by_hand(repository, source, needed, None)}"
        )
    if is_a(errors.RepositoryNotFoundError):
        return MixlingError(
            f"{source.name}: the hub has no data set {repository.name}, or the data set is "
            f"private. See {page}; for a private data set, run `hf auth login`."
        )
    if status == 429:
        return MixlingError(
            f"{source.name}: the hub refuses further requests for now (429). Wait some minutes, "
            "or set HF_TOKEN for a higher limit. The files that are fetched already stay."
        )
    reason = type(error).__name__ if status is None else f"status {status}"
    return MixlingError(
        f"{source.name}: cannot fetch '{repository.name}' from the hub ({reason}). "
        f"{_hub_by_hand(repository, source, needed, revision)}"
    )


def is_complete(path: Path, size: int, metadata: Path, revision: str) -> bool:
    """Return whether a file of the hub is here as it is in a commit.

    Args:
        path: The file.
        size: Its size in bytes.
        metadata: The record that huggingface_hub keeps of it.
        revision: The commit.
    """
    if not path.is_file() or path.stat().st_size != size or not metadata.is_file():
        return False
    return metadata.read_text(encoding="utf-8").startswith(revision)


def download_files(
    repository: str, revision: str, sizes: Mapping[str, int], place: Path, progress: Progress
) -> None:
    """Download files of a data set of the hub; what was downloaded in part goes on.

    Args:
        repository: The data set's name.
        revision: The commit.
        sizes: Size of each file in bytes, by its path.
        place: The folder to write to.
        progress: Receives the bytes that are done.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    total, before = sum(sizes.values()), 0

    class Counter(tqdm):
        """Reports the bytes of a file instead of drawing a bar of its own."""

        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
            self.bytes_done = options.get("initial") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self.bytes_done += n or 0
            progress(before + self.bytes_done, total, file_size(total))
            return None

    for path, size in sizes.items():
        hf_hub_download(
            repository,
            path,
            repo_type="dataset",
            revision=revision,
            local_dir=place,
            tqdm_class=Counter,
        )
        before += size


def _hub_by_hand(
    repository: Repository, source: Source, needed: Iterable[Files], revision: str | None
) -> str:
    """Return how a user fetches files of the hub and where to put them."""
    patterns = [form.pattern for form in needed]
    include = "".join(f' --include "{p}"' for p in patterns) if 0 < len(patterns) <= 4 else ""
    commit = f" --revision {revision}" if revision else ""
    return (
        "With a network, run `hf download --repo-type dataset "
        f"{repository.name}{commit}{include} --local-dir "
        f"{source.folder_name}/{repository.folder_name}`, and set MIXLING_DATA to the folder "
        f"that holds '{source.folder_name}'."
    )


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status that an error carries."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
