from html.parser import HTMLParser

import pytest

from mixling.errors import MixlingError
from mixling.evaluation.result import EvaluationResult
from mixling.reports.compare import compare
from mixling.reports.evaluate import evaluate


@pytest.fixture(scope="module")
def folders(chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    for name in ("a", "b"):
        evaluate(str(chain), ["sample"], out / name)
    return out


class Collect(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [v for k, v in attrs if k in ("src", "href") and v]

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_small_file_without_network(folders):
    text = (folders / "a" / "report.html").read_text()
    page = Collect()
    page.feed(text)
    assert len(text) < 1_000_000 and not page.links
    assert not any(tag in ("script", "link") for tag, _ in page.tags)
    # one picture; matrices of languages are tables, which screen readers read
    assert sum(tag == "svg" for tag, _ in page.tags) == 1
    assert sum(tag == "table" and a.get("class") == "heat" for tag, a in page.tags) == 2
    assert any(a.get("dir") == "rtl" and a.get("lang") == "ar" for _, a in page.tags)
    words = " ".join(page.text)
    assert "mAP by query and passage language" in words and "Which languages answer whom" in words
    # the verdict stands before any table
    assert words.index("language bias") < words.index("How well each language finds each other")
    assert text.index('class="verdict"') < text.index("<table")


def test_the_report_shows_the_figures_of_the_result(folders):
    from mixling.reports.verdict import bias_verdict

    entry = EvaluationResult.load(folders / "a").summary["tasks"]["sample"]
    page = Collect()
    page.feed((folders / "a" / "report.html").read_text())
    words = " ".join(" ".join(page.text).split())
    verdict = bias_verdict(entry)
    assert verdict.title in words and all(n.value in words for n in verdict.numbers)
    assert all(s.replace("`", "") in words.replace(" .", ".") for s in verdict.sentences[:2])
    # five measures stand outside what is folded, each with its definition
    outside = words[words.index("Five measures") : words.index("Scores of each scenario")]
    for name in ("monolingual mAP", "cross-lingual mAP", "multilingual mAP", "intrusion@10"):
        assert name in outside
    assert f"{entry['multilingual']['mAP']:.3f}" in outside
    assert f"{entry['bias']['intrusion@10']:.3f}" in outside


def test_hubs_are_folded_with_chance_beside_them(folders):
    entry = EvaluationResult.load(folders / "a").summary["tasks"]["sample"]["hubs"]
    page = Collect()
    page.feed((folders / "a" / "report.html").read_text())
    words = " ".join(" ".join(page.text).split())
    part = words[words.index("Hubs: passages that many queries find") : words.index("Gaps between")]
    for name in ("hub_skew@10", "hub_share@10", "unanswering_share@10", "reciprocity@10"):
        assert name in part and f"{entry[name]:.3f}" in part
    assert f"at random {entry['at_random']['hub_share@10']:.3f}" in part
    share = entry["reciprocity_by_pair"]["ar"]["de"]
    assert "Reciprocity by language" in part and f"{share:.2f}".removeprefix("0") in part
    table = EvaluationResult.load(folders / "a").to_pandas()
    assert table[table.scenario == "hubs"].measure.tolist()[0] == "hub_skew@10"


def test_the_result_holds_what_the_centered_order_would_repair(folders):
    entry = EvaluationResult.load(folders / "a").summary["tasks"]["sample"]
    order = entry["orders"]
    assert order["score"]["mAP"] == pytest.approx(entry["multilingual"]["mAP"])
    assert order["queries"] == entry["queries"]
    assert "--order centered" in (folders / "a" / "report.html").read_text()


def test_a_comparison_shows_both_and_their_difference(folders, run):
    status, out, _ = run("compare", folders / "a", folders / "b", "--out", folders / "both.html")
    text = (folders / "both.html").read_text()
    assert (
        status == 0
        and "+0.000" in text
        and text.count("How well each language finds each other") == 1
    )
    assert "no detectable difference" in out
    assert ">better<" not in text and ">worse<" not in text


def test_a_tiny_difference_is_in_no_form_better_or_worse(folders, tmp_path):
    """Every query a little better: certain by the test, and below the number format's effect."""
    import pyarrow as pa

    result = EvaluationResult.load(folders / "a")
    old = result.scores["mAP"].to_numpy()
    scores = result.scores.set_column(
        result.scores.column_names.index("mAP"), "mAP", pa.array(old + 0.0004)
    )
    entry = result.summary["tasks"]["sample"]
    for scenario in ("monolingual", "cross-lingual", "multilingual"):
        entry[scenario]["mAP"] += 0.0004
    result.summary["precision"] = "bf16"
    EvaluationResult(result.summary, scores, result.examples).save(tmp_path / "other")
    forms = {}
    for suffix in (".html", ".md", ".tex", ".csv"):
        report = compare(
            [f"base={folders / 'a'}", f"other={tmp_path / 'other'}"], tmp_path / f"c{suffix}"
        )
        forms[suffix] = (tmp_path / f"c{suffix}").read_text()
    comparison = report.runs[1].comparison("sample", "multilingual", "mAP")
    assert comparison.p_holm < 0.05 and comparison.low > 0
    table = report.to_pandas()
    assert set(table[table.measure == "mAP"].outcome) == {"no detectable difference"}
    assert "multilingual +0.000" in repr(report) and "*" not in repr(report)
    assert "≈" in forms[".md"] and "approx" in forms[".tex"]
    row = next(x for x in forms[".md"].splitlines() if x.startswith("| other"))
    assert "*" not in row
    assert ">better<" not in forms[".html"] and ">worse<" not in forms[".html"]
    assert "number format alone" in forms[".html"]
    for text in (forms[".html"], forms[".md"], forms[".tex"]):
        assert "base in fp32" in text and "other in bf16" in text
    assert ",better" not in forms[".csv"] and ",worse" not in forms[".csv"]


def test_the_terminal_begins_with_the_verdict_and_ends_with_the_next_step(moved, run):
    from io import StringIO

    from rich.console import Console

    from mixling.reports.terminal import print_comparison, print_results

    results = [EvaluationResult.load(moved / n) for n in ("a", "moved")]
    for printed, first in (
        (lambda c: print_results(results[:1], c), "language bias ("),
        (
            lambda c: print_comparison(compare([moved / "a", moved / "moved"]), c),
            "language bias",
        ),
    ):
        out = StringIO()
        printed(Console(file=out, width=80, emoji=False))
        lines = out.getvalue().rstrip().splitlines()
        assert first in lines[0] and lines[-1].startswith("Next: ")
        assert all(len(x) <= 80 for x in lines if "│" in x or "━" in x)
        assert "By query language" in out.getvalue() or first != "language bias"


def test_results_of_different_data_are_not_compared(folders, tmp_path):
    result = EvaluationResult.load(folders / "a")
    result.summary["tasks"]["sample"]["data"] = "other"
    result.save(tmp_path / "c")
    with pytest.raises(MixlingError, match="different data"):
        compare([folders / "a", tmp_path / "c"])


@pytest.fixture(scope="module")
def moved(chain, folders):
    """A second model: the first with half of its directions weakened."""
    import numpy as np
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    from mixling.models.retriever import Retriever

    retriever = Retriever(str(chain))
    weight = torch.from_numpy(np.diag(np.linspace(1, 0.1, 32)).astype(np.float32))
    dense = Dense(32, 32, True, torch.nn.Identity(), weight, torch.zeros(32))
    for number, module in enumerate((dense, Normalize())):
        retriever.model.add_module(f"more{number}", module)
    evaluate(retriever, ["sample"], folders / "moved")
    return folders


def test_the_report_has_every_measure_with_its_sentence_and_interval(folders):
    from mixling.evaluation.bias.table import ALL

    text = (folders / "a" / "report.html").read_text()
    for name, measure in ALL.items():
        assert f"<b>{name}</b>" in text and measure.meaning in text.replace("&#39;", "'"), name
    assert (
        text.count('class="between"') > 20
        and "All figures by query language" in text
        and "subwords a word" in text
    )
    assert text.count('<details class="example">') >= 24


@pytest.mark.parametrize("suffix", [".html", ".md", ".tex", ".csv"])
def test_a_comparison_in_every_form(suffix, moved, run):
    out = moved / f"both{suffix}"
    status, _, err = run("compare", f"base={moved / 'a'}", f"weak={moved / 'moved'}", "--out", out)
    assert status == 0, err
    text = out.read_text()
    assert "base" in text and "weak" in text
    if suffix == ".html":
        assert "Multilingual mAP by query language" in text and "Monolingual mAP by query" in text
        assert "no detectable difference" in text or ">better<" in text
        report = compare([f"base={moved / 'a'}", f"weak={moved / 'moved'}"])
        for name, measures in report.runs[1].by_language["sample"].items():
            c = measures["mAP"]
            assert f"{c.low:+.3f} to {c.high:+.3f}" in text, name
            if (c.low > 0 or c.high < 0) and c.p_holm >= 0.05:
                assert "the interval excludes zero, but" in text, name
    if suffix == ".csv":
        import csv

        rows = list(csv.DictReader(text.splitlines()))
        tested = [
            r
            for r in rows
            if r["run"] == "weak" and r["scenario"] == "multilingual" and r["measure"] == "mAP"
        ]
        assert len(tested) == 1 and int(tested[0]["groups"]) == 24
        assert float(tested[0]["p_holm"]) >= float(tested[0]["p"]) > 0
        assert float(tested[0]["low"]) <= float(tested[0]["difference"]) <= float(tested[0]["high"])
    if suffix == ".tex":
        assert (
            text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
            and r"intrusion@10" in text
        )


def test_marks_are_those_of_the_test(moved):
    report = compare([moved / "a", moved / "moved"])
    runs = report.runs
    c = runs[1].tested["sample"]["multilingual"]["mAP"]
    values = [r.results[0].value("sample", "multilingual") for r in runs]
    assert c.difference == pytest.approx(values[1] - values[0]) and c.p_holm >= c.p
    by_language = runs[1].by_language["sample"]
    assert {"multilingual sw", "monolingual zh"} <= set(by_language)
    assert f"multilingual {c.difference:+.3f}" in repr(report)
    table = report.to_pandas().set_index(["scenario", "measure"])
    assert table.loc[("multilingual", "mAP"), "p_holm"] == c.p_holm


def test_a_task_is_compared_whatever_else_was_measured_beside_it(moved, chain):
    evaluate(str(chain), ["sample:train", "sample"], moved / "two")
    runs = compare([moved / "a", moved / "two"]).runs
    comparison = runs[1].comparison("sample", "multilingual", "mAP")
    assert comparison.difference == pytest.approx(0, abs=1e-6)


def test_seeds_are_put_together(moved, run):
    arguments = [f"one={moved / n}" for n in ("a", "b")] + [f"two={moved / 'moved'}"] * 2
    runs = compare(arguments).runs
    assert [(r.name, len(r.results)) for r in runs] == [("one", 2), ("two", 2)]
    tested = runs[1].tested["sample"]["multilingual"]["mAP"]
    assert tested.low_seeds < tested.difference < tested.high_seeds and 0 < tested.p_seeds < 1
    status, out, _ = run("compare", *arguments)
    assert (
        status == 0
        and "two x2" in out
        and "x2, x3 …: mean over this number of seeds" in out
        and "variance over seeds" in out.replace("\n", " ")
    )


def test_a_leaderboard(moved, run):
    status, _, err = run("leaderboard", moved, "--out", moved / "board.html")
    assert status == 0, err
    text = (moved / "board.html").read_text()
    assert text.count('<th scope="row" class="name">') >= 3
    assert "Leaderboard" in text and "http" not in text
    assert "has the best multilingual mAP" in text or "have the best multilingual mAP" in text
    # a and b are the same model, so neither is called the better one
    assert "none of them is called better" in text and "the least language bias" in text
    status, _, err = run("leaderboard", moved / "a" / "mteb", "--out", moved / "board.html")
    assert status == 2 and "no summary.json" in err


def test_many_languages_are_a_map(folders):
    from mixling.reports.html import render_report

    result = EvaluationResult.load(folders / "a")
    entry = result.summary["tasks"]["sample"]
    names = ["sw", "en", "zh", "am", "bem", "ckb", "ti", "my", "nqo", "taq-Tfng"] * 3
    entry["languages"] = [*entry["languages"], *names]
    entry["multilingual"]["by_language"] = dict.fromkeys(
        dict.fromkeys(names), entry["multilingual"]["by_language"]["sw"]
    )
    text = render_report([result])
    assert (
        "Languages by script and resource level" in text
        and "unseen: " in text
        and "not seen" in text
    )
    assert "How well each language finds each other" not in text


def test_the_terminal_shows_names_as_they_are(folders, tmp_path, capsys):
    """`own:train: name` became a picture of a tram, `[x]` was taken for markup and lost, and `[/x]`
    ended in a traceback.
    """
    from mixling.reports.terminal import print_comparison, print_results

    result = EvaluationResult.load(folders / "a")
    entries = result.summary["tasks"]
    result.summary["tasks"] = {"own:train": entries["sample"]}
    result.summary["name"] = result.summary["model"] = "m[red][/dim]:bell:"
    result.summary.pop("label", None)
    for k in (1, 2):
        result.save(tmp_path / f"{k}")
    print_results([result])
    assert "own:train: m[red][/dim]:bell:" in capsys.readouterr().out
    print_comparison(compare([f"[/x]:tram:={tmp_path / '1'}", f"b={tmp_path / '2'}"]))
    assert "[/x]:tram:" in capsys.readouterr().out
