"""XQuAD-R and MLQA-R (LAReQA, Roy et al. 2020, arXiv:2004.05484): queries and answer sentences.

Both are folders of one commit of the authors' repository; later commits have no `mlqa-dev-r`.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import squad
from mixling.corpora.corpus import Corpus
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Download, Languages, Reader, Source, is_wanted, require_languages
from mixling.errors import MixlingError

COMMIT = "5405d2a77e83d5ccb47623a3f9e5604c3f103193"
_XQUAD_LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
_MLQA_LANGUAGES = ("ar", "de", "en", "es", "hi", "vi", "zh")


def lareqa_reader(name: str, published: str, known: tuple[str, ...], is_parallel: bool) -> Reader:
    """Return a reader of one SQuAD file a language, with `sentence_breaks`.

    The files lie in the folder itself or in one of the published name below it.

    Args:
        name: The source.
        published: The publication's name of the folder.
        known: The languages.
        is_parallel: Whether all files have the same queries. Then a language can be read alone;
            otherwise a file tells which passages of the others are one group.
    """

    def read(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
        files = {
            path.name.partition(".")[0]: path
            for path in find_published(folder, f"{published}/*.json")
            or [
                p for p in find_published(folder, "*.json") if p.parent in (folder, folder / COMMIT)
            ]
        }
        if not files.keys() & set(known):
            raise MixlingError(
                f"{folder}: no file is named like {published}/{known[0]}.json. Expected the "
                f"files of folder {published} of github.com/google-research-datasets/lareqa at "
                f"commit {COMMIT[:8]}."
            )
        require_languages(name, languages, [code for code in known if code in files])
        wanted = [
            (files[code], code, code)
            for code in known
            if code in files and (not is_parallel or is_wanted(code, languages))
        ]
        return squad.read_squad(wanted, name, skip_bad)

    return read


def _lareqa(folder: str, content: str) -> Download:
    """Return the archive of the authors' repository, of which one folder is unpacked."""
    return Download(
        f"https://github.com/google-research-datasets/lareqa/archive/{COMMIT}.zip",
        f"lareqa-{COMMIT}/{folder}",
        content=content,
    )


XQUAD_R = Source(
    "xquad-r",
    "questions and answer sentences, parallel (evaluation only)",
    _XQUAD_LANGUAGES,
    ("test",),
    "CC-BY-SA-4.0",
    "Roy et al. 2020, arXiv:2004.05484",
    "folder xquad-r of github.com/google-research-datasets/lareqa",
    lareqa_reader("xquad-r", "xquad-r", _XQUAD_LANGUAGES, is_parallel=True),
    "xquad-r",
    counts={"test": (13090, 2640)},
    unit="sentence",
    downloads=(
        _lareqa("xquad-r", "cf47b10b898adc62d2643380ec1e7914a604622dc642549c9db47fa48fa28755"),
    ),
)
MLQA_R = Source(
    "mlqa-r",
    "questions and answer sentences, partly parallel (evaluation only; it is MLQA dev)",
    _MLQA_LANGUAGES,
    ("test",),
    "CC-BY-SA-3.0",
    "Roy et al. 2020, arXiv:2004.05484",
    f"folder mlqa-dev-r of github.com/google-research-datasets/lareqa at commit {COMMIT[:8]}",
    lareqa_reader("mlqa-r", "mlqa-dev-r", _MLQA_LANGUAGES, is_parallel=False),
    "mlqa-r",
    counts={"test": (4199, 3646)},
    unit="sentence",
    downloads=(
        _lareqa("mlqa-dev-r", "ff92c15acb8735fb208fa83a8b6aa4c595faa2c0d8d5349309c7fdbca5f4e647"),
    ),
)
