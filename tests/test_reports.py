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
    assert sum(tag == "svg" for tag, _ in page.tags) == 4
    assert any(a.get("dir") == "rtl" and a.get("lang") == "ar" for _, a in page.tags)
    words = " ".join(page.text)
    assert "monolingual 0." in words and "Languages of the first ten answers" in words


def test_a_comparison_shows_both_and_their_difference(folders, run):
    status, out, _ = run("compare", folders / "a", folders / "b", "--out", folders / "both.html")
    text = (folders / "both.html").read_text()
    assert (
        status == 0
        and "+0.000" in text
        and text.count("Query language against passage language") == 1
    )
    assert "no difference shown" in out


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
    assert runs[1].tested["sample"]["multilingual"]["mAP"].p_seeds == pytest.approx(2 / 6)
    status, out, _ = run("compare", *arguments)
    assert (
        status == 0
        and "two x2" in out
        and "x2, x3 …: mean over this number of seeds" in out
        and "seeds as units" in out.replace("\n", " ")
    )


def test_a_leaderboard(moved, run):
    status, _, err = run("leaderboard", moved, "--out", moved / "board.html")
    assert status == 0, err
    text = (moved / "board.html").read_text()
    assert text.count('<td class="name">') >= 3 and "Leaderboard" in text and "http" not in text
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
    assert "Query language against passage language" not in text


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
