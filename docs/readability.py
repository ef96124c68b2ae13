"""Measure how a page reads: `python -m docs.readability README.md docs/start.md`.

It prints sentence length, the share of long sentences, figures per sentence, the shares of passive
and of verbless sentences, and the ten worst sentences. A text on standard input is read for `-`.
Code, tables, headings, links' targets and generated blocks are not prose and are left out. The
tests for passive voice and for verbs are simple word lists, so their shares are estimates.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

LONG = 25  # words
FIGURE = re.compile(r"(?<![\w.:/-])[-+]?(?:\d[\d,]*)?\.?\d+%?(?![\w/-])")
ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "al.", "arXiv.", "No.", "p.")
BE = r"(?:is|are|was|were|be|been|being|gets|get)"
PARTICIPLE = (
    r"(?:\w{2,}ed|written|read|found|made|kept|held|taken|given|shown|seen|known|built|sent|drawn|"
    r"put|chosen|left|lost|run|said|told|cut|meant|done|paid|brought|begun|split|spread)"
)
PASSIVE = re.compile(rf"\b{BE}\s+(?:\w+ly\s+|not\s+|then\s+|never\s+)?{PARTICIPLE}\b", re.I)
VERBS = {
    "am",
    "is",
    "are",
    "was",
    "were",
    "be",
    "has",
    "have",
    "had",
    "do",
    "does",
    "did",
    "can",
    "cannot",
    "could",
    "may",
    "might",
    "must",
    "shall",
    "should",
    "will",
    "would",
    "need",
    "needs",
    "want",
    "wants",
    "make",
    "makes",
    "take",
    "takes",
    "give",
    "gives",
    "go",
    "goes",
    "get",
    "gets",
    "see",
    "sees",
    "say",
    "says",
    "show",
    "shows",
    "find",
    "finds",
    "rank",
    "ranks",
    "read",
    "reads",
    "write",
    "writes",
    "keep",
    "keeps",
    "work",
    "works",
    "run",
    "runs",
    "use",
    "uses",
    "ask",
    "asks",
    "answer",
    "answers",
    "stand",
    "stands",
    "cost",
    "costs",
    "gain",
    "gains",
    "lose",
    "loses",
    "fall",
    "falls",
    "rise",
    "rises",
    "train",
    "trains",
    "measure",
    "measures",
    "serve",
    "serves",
    "open",
    "opens",
    "let",
    "lets",
    "help",
    "helps",
    "move",
    "moves",
    "come",
    "comes",
    "know",
    "knows",
    "count",
    "counts",
    "change",
    "changes",
    "mean",
    "means",
    "start",
    "starts",
    "stop",
    "stops",
    "put",
    "puts",
    "print",
    "prints",
    "repair",
    "repairs",
    "try",
    "tries",
    "add",
    "adds",
    "send",
    "sends",
    "call",
    "calls",
    "install",
    "installs",
    "return",
    "returns",
    "compare",
    "compares",
    "choose",
    "chooses",
    "tell",
    "tells",
    "stay",
    "stays",
    "end",
    "ends",
    "begin",
    "begins",
    "hold",
    "holds",
    "treat",
    "treats",
    "lie",
    "lies",
    "fit",
    "fits",
    "look",
    "looks",
    "leave",
    "leaves",
    "set",
    "sets",
    "depend",
    "depends",
    "remove",
    "removes",
    "learn",
    "learns",
    "raise",
    "raises",
    "lower",
    "lowers",
    "follow",
    "follows",
    "apply",
    "applies",
    "grow",
    "grows",
    "share",
    "shares",
    "name",
    "names",
    "cover",
    "covers",
    "carry",
    "carries",
    "bring",
    "brings",
    "exist",
    "exists",
    "happen",
    "happens",
    "list",
    "contain",
    "contains",
    "become",
    "becomes",
    "search",
    "searches",
    "store",
    "stores",
    "pay",
    "pays",
    "seem",
    "seems",
    "test",
    "tests",
    "encode",
    "encodes",
    "include",
    "includes",
    "pass",
    "passes",
    "belong",
    "belongs",
    "differ",
    "differs",
    "appear",
    "appears",
    "produce",
    "produces",
    "replace",
    "replaces",
    "report",
    "reports",
    "reach",
    "reaches",
    "define",
    "defines",
    "describe",
    "describes",
    "explain",
    "explains",
    "expect",
    "expects",
    "build",
    "builds",
    "load",
    "loads",
    "mix",
    "mixes",
    "draw",
    "draws",
    "sit",
    "divide",
    "divides",
    "match",
    "matches",
    "support",
    "supports",
    "create",
    "creates",
    "point",
    "points",
    "save",
    "saves",
    "skip",
    "fill",
    "fills",
    "hide",
    "hides",
    "believe",
    "refuse",
    "refuses",
    "require",
    "requires",
    "offer",
    "offers",
    "sort",
    "sorts",
    "order",
    "drop",
    "drops",
    "check",
    "checks",
    "switch",
    "switches",
    "improve",
    "improves",
    "meet",
    "meets",
    "beat",
    "beats",
    "fail",
    "fails",
    "average",
    "averages",
    "estimate",
    "estimates",
    "separate",
    "separates",
    "copy",
    "copies",
    "map",
    "maps",
    "contribute",
    "wait",
    "waits",
    "catch",
    "catches",
    "allow",
    "allows",
    "lead",
    "leads",
    "place",
    "places",
    "state",
    "states",
    "decide",
    "decides",
    "suit",
    "suits",
    "push",
    "pushes",
    "pull",
    "pulls",
    "mislead",
    "misleads",
    "tend",
    "tends",
    "teach",
    "teaches",
    "weigh",
    "weighs",
    "enter",
    "enters",
    "correlate",
    "correlates",
    "cancel",
    "cancels",
    "vary",
    "varies",
}


@dataclass(frozen=True)
class Readability:
    """How a page reads.

    Args:
        sentences: Number of sentences.
        words: Mean number of words of a sentence.
        long: Share of sentences of more than 25 words.
        figures: Mean number of figures of a sentence.
        passive: Estimated share of sentences in the passive voice.
        verbless: Estimated share of sentences without a verb.
        worst: The ten worst sentences, the worst first.
    """

    sentences: int
    words: float
    long: float
    figures: float
    passive: float
    verbless: float
    worst: tuple[str, ...]

    def __str__(self) -> str:
        """Return the figures in a line."""
        return (
            f"{self.sentences} sentences of {self.words:.1f} words; {self.long:.0%} over {LONG} "
            f"words; {self.figures:.2f} figures a sentence; {self.passive:.0%} passive, "
            f"{self.verbless:.0%} without a verb"
        )


def prose(text: str) -> list[str]:
    """Return the sentences of a Markdown page.

    Args:
        text: The page.
    """
    text = re.sub(r"<!-- (?!/)([\w ,-]+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"^( *)```.*?^\1```", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->|<(style|svg|script).*?</\1>|</?\w[^>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r"^(?:\||#|!!!|!\[|:::).*$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)(?:\{[^}]*\})?", r"\1", text)
    text = re.sub(r"^\s*(?:[-*]|\d+\.|>)\s+", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "CODE", text).replace("**", "").replace("*", "")
    sentences = []
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        for abbreviation in ABBREVIATIONS:  # whole words alone: "help." ends a sentence
            bare = abbreviation.replace(".", "")
            line = re.sub(rf"(?<!\w){re.escape(abbreviation)}", bare, line)
        sentences += [
            s.strip() for s in re.split(r"(?<=[.!?])[)\"”]*\s+(?=[\"“(]?[A-Z0-9])", line) if s
        ]
    return [s for s in sentences if len(words_of(s)) > 1]


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence; figures count as words."""
    return re.findall(r"[\w'’.-]*\w", sentence)


def is_verbless(sentence: str) -> bool:
    """Return whether a sentence seems to have no verb."""
    words = [w.lower() for w in words_of(sentence)]
    return not any(
        w in VERBS or w.endswith(("n't", "'s", "’s")) or re.fullmatch(r"\w{3,}(?:ed|izes?)", w)
        for w in words
    )


def badness(sentence: str) -> float:
    """Return how bad a sentence is: its words, four more for each figure, ten without a verb."""
    figures = len(FIGURE.findall(sentence))
    return len(words_of(sentence)) + 4 * figures + 10 * is_verbless(sentence)


def measure(text: str) -> Readability:
    """Measure a Markdown page.

    Args:
        text: The page.
    """
    sentences = prose(text)
    n = max(len(sentences), 1)
    lengths = [len(words_of(s)) for s in sentences]
    return Readability(
        len(sentences),
        sum(lengths) / n,
        sum(x > LONG for x in lengths) / n,
        sum(len(FIGURE.findall(s)) for s in sentences) / n,
        sum(bool(PASSIVE.search(s)) for s in sentences) / n,
        sum(map(is_verbless, sentences)) / n,
        tuple(sorted(sentences, key=badness, reverse=True)[:10]),
    )


def main() -> None:
    """Print the figures and the worst sentences of each page."""
    for name in sys.argv[1:]:
        result = measure(sys.stdin.read() if name == "-" else Path(name).read_text())
        print(f"{name}: {result}")
        for sentence in result.worst:
            print(f"  {badness(sentence):3.0f}  {sentence}")


if __name__ == "__main__":
    main()
