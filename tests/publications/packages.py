"""Replicas of Debian's packages of manuals, in their exact form; the text is ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

HELP = "usr/share/libreoffice/help"
FAQ = "usr/share/doc/debian/FAQ"

_HELP_PAGE = """<!DOCTYPE html>
<html lang="{language}" dir="ltr">
<head>
<noscript><meta http-equiv="refresh" content="0; URL=../../{language}/noscript.html"></noscript>
<title>{title}</title>
<script type="text/javascript" src="help.js" defer></script>
</head>
<body>
<header id="TopLeftHeader"><a class="logo" href="x.html"><p dir="auto">Help</p></a></header>
<div id="DisplayArea" itemprop="softwareHelp" itemscope="true">

<a name="bm_id3150620"></a>  <meta itemprop="keywords" content="protecting">

<h1 id="hd_id1" dir="auto">
<a name="top"></a>{title}</h1>
<a name="howtoget"></a><div class="howtoget">
<div><p class="howtogetheader" dir="auto"><a name="wie"></a>To access this command...
</p></div>
</div>
{body}
<div class="embedded">
<p id="par_id3147212" class="related" dir="auto"><a name="related"></a><span class="emph">Related
 Topics</span></p>
</div>
<p id="par_id785" class="paragraph" dir="auto"><a target="_top" href="o.html">Another</a></p>
</div>
<div id="SearchFrame"></div>
<div id="DonationFrame"></div>
<footer><div id="DEBUG" class="debug">
<h3 class="bug">Help content debug info:</h3>
<p dir="auto">This page is: <a href="https://example.org/{path}">/text/{path}</a></p>
<p dir="auto">Title is: {title}</p>
</div></footer>
</body>
</html>
"""
_FAQ_CHAPTER = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Chapter 1</title></head>
<body><div class="navheader"><table><tr><th>Chapter 1</th></tr></table></div>
<div class="chapter"><h1 class="title"><a id="{chapter}"></a>Chapter 1</h1>
<div class="toc"><dl class="toc"><dt><a href="#one">1.1. {title}</a></dt></dl></div>
{sections}
</div><div class="navfooter"><hr /><table><tr><td>Next</td></tr></table></div></body></html>
"""


def paragraph(key: str, text: str) -> str:
    return (
        f'<p id="par_id{key}" class="paragraph" dir="auto">'
        f'{text} <span class="emph">Save</span>.</p>'
    )


def heading(key: str, text: str) -> str:
    return f'<h2 id="hd_id{key}" dir="auto">{text}</h2>'


def write_help(folder: Path, language: str, path: str, title: str, *blocks: str) -> None:
    """Write a page of the help below the folder of a package."""
    target = folder / HELP / language / "text" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    body = "\n".join(blocks)
    target.write_text(
        _HELP_PAGE.format(language=language, title=title, path=path, body=body), encoding="utf-8"
    )


def write_faq(folder: Path, language: str, chapter: str, *sections: tuple[str, str, str]) -> None:
    """Write a chapter of the FAQ: anchor, question and answer of each section."""
    below = folder / FAQ / ("" if language == "en" else language)
    below.mkdir(parents=True, exist_ok=True)
    text = "\n".join(
        f'<div class="section"><div class="titlepage"><div><div><h2 class="title"><a id="{anchor}">'
        f"</a>1.{n}. {question}</h2></div></div></div><p>\n{answer}</p></div>"
        for n, (anchor, question, answer) in enumerate(sections, 1)
    )
    (below / f"{chapter}.{language}.html").write_text(
        _FAQ_CHAPTER.format(chapter=chapter, title=sections[0][1], sections=text),
        encoding="utf-8",
    )


def build_deb(folder: Path, name: str, target: Path) -> None:
    """Build a package of the files in a folder."""
    control = folder / "DEBIAN"
    control.mkdir(exist_ok=True)
    (control / "control").write_text(
        f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <n@example.org>\n"
        "Description: a replica\n"
    )
    command = ["dpkg-deb", "--build", "--root-owner-group", str(folder), str(target)]
    subprocess.run(command, check=True, capture_output=True)
