from html.parser import HTMLParser

import pytest

from mixling.errors import MixlingError
from mixling.evaluation.result import Result
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
    assert "in its own language a question finds its answer" in words and "Who answers whom" in words


def test_a_comparison_shows_both_and_their_difference(folders, run):
    status, out, _ = run("compare", folders / "a", folders / "b", "--out", folders / "both.html")
    text = (folders / "both.html").read_text()
    assert status == 0 and "+0.000" in text and text.count("Question language against passage language") == 1
    assert "no difference shown" in out


def test_results_of_different_data_are_not_compared(folders, tmp_path):
    result = Result.load(folders / "a")
    result.summary["tasks"]["sample"]["data"] = "other"
    result.save(tmp_path / "c")
    with pytest.raises(MixlingError, match="different data"):
        compare([folders / "a", tmp_path / "c"])
