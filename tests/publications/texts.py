"""Replicas of npm's packages of parallel texts, in their exact form; the text is ours."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_DECLARATION = """<!doctype html>
<html data-code="{code}" data-iso6393="{iso}" dir="ltr" lang="{lang}">
  <head>
    <title>{title}</title>
  </head>
  <body>
    <h1>The Declaration of the Cranes</h1>
    <header>
      <h2>Preamble</h2>
      <p>Whereas cranes fly south,</p>
    </header>
{articles}
  </body>
</html>
"""
_TRANSLATIONS = ("bn", "en", "es", "fr", "id", "ru", "sv", "tr", "ur", "zh")


def articles(language: str, count: int = 30) -> dict[int, tuple[str, Sequence[str]]]:
    """Return heading and paragraphs of each article; the second and every tenth have two."""
    return {
        n: (
            f"Article {n}",
            [f"{language}: crane {n} may rest at every lake it likes."]
            + [f"{language}: none may wake crane {n}."] * (n == 2 or n % 10 == 0),
        )
        for n in range(1, count + 1)
    }


def write_declaration(
    folder: Path,
    code: str,
    lang: str,
    title: str,
    content: Mapping[int, tuple[str, Sequence[str]]] | None = None,
    iso: str | None = None,
) -> None:
    """Write a declaration below the folder of a package.

    Args:
        folder: The folder.
        code: Its code.
        lang: The BCP-47 tag that it states.
        title: The name of its language.
        content: Heading and paragraphs of each article. None: 30 that say their code.
        iso: The ISO 639-3 code of its language. None: its code.
    """
    parts = []
    for number, (heading, paragraphs) in (articles(code) if content is None else content).items():
        texts = [escape(x).replace("&amp;", "&#x26;") for x in paragraphs]
        if len(texts) == 1:
            body = [f"      <p>{texts[0]}</p>"]
        else:
            items = (f"        <li>\n          <p>{x}</p>\n        </li>" for x in texts)
            body = ["      <ol>", *items, "      </ol>"]
        head = [f'    <article data-number="{number}">', f"      <h2>{escape(heading)}</h2>"]
        parts += [*head, *body, "    </article>"]
    target = folder / f"package/declaration/{code}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = _DECLARATION.format(
        code=code, iso=iso or code, lang=lang, title=title, articles="\n".join(parts)
    )
    target.write_text(text, encoding="utf-8")


def quran(
    verses: Sequence[tuple[int, int]], texts: Mapping[tuple[str, int, int], str] | None = None
) -> dict[str, list[dict]]:
    """Return the content of each file of the package.

    Args:
        verses: Chapter and number of each verse.
        texts: Some texts by language, chapter and number; all others are made up.
    """

    def text(language: str, chapter: int, number: int) -> str:
        made_up = f"{language} cranes {chapter} {number} fly"
        return (texts or {}).get((language, chapter, number), made_up)

    files = {}
    languages = [("ar", ""), ("ar-Latn", "transliteration")]
    for language, field in [*languages, *((x, "translation") for x in _TRANSLATIONS)]:
        name = {"ar": "", "ar-Latn": "_transliteration"}.get(language, f"_{language}")
        files[f"quran{name}.json"] = [
            {
                "id": chapter,
                "name": "الكراكي",
                "transliteration": "Al-Karaki",
                **({"translation": "Cranes"} if field else {}),
                "type": "meccan",
                "total_verses": sum(c == chapter for c, _ in verses),
                "verses": [
                    {
                        "id": number,
                        "text": text("ar", chapter, number),
                        **({field: text(language, chapter, number)} if field else {}),
                    }
                    for c, number in verses
                    if c == chapter
                ],
            }
            for chapter in dict.fromkeys(c for c, _ in verses)
        ]
    return files


def write_quran(folder: Path, files: Mapping[str, object]) -> None:
    """Write the files below the folder of a package, and others that are not needed."""
    for name, content in {**files, "verses/1.json": {"id": 1}, "chapters/1.json": {}}.items():
        target = folder / "package/dist" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        target.write_text(text, encoding="utf-8")


def build_npm(folder: Path, target: Path) -> None:
    """Pack the folder `package` of a folder as npm does."""
    with tarfile.open(target, "w:gz") as tar:
        for path in sorted((folder / "package").rglob("*.*")):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size = path.stat().st_size
            tar.addfile(info, io.BytesIO(path.read_bytes()))
