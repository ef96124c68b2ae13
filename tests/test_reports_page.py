"""Reports in a real browser: accessibility, width, themes, print, and no network."""

import shutil

import pytest

from mixling.reports.compare import compare
from mixling.reports.evaluate import evaluate
from mixling.reports.leaderboard import leaderboard

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LOOKS = {
    "wide": {"viewport": {"width": 1400, "height": 900}},
    "narrow": {"viewport": {"width": 390, "height": 844}},
    "dark": {"viewport": {"width": 1000, "height": 900}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def pages(chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    evaluate(str(chain), ["sample"], out / "results" / "a")
    evaluate("bm25", ["sample"], out / "results" / "b")
    compare([out / "results" / "a", out / "results" / "b"], out / "comparison.html")
    leaderboard(out / "results", out / "leaderboard.html")
    return {
        "report": out / "results" / "a" / "report.html",
        "comparison": out / "comparison.html",
        "leaderboard": out / "leaderboard.html",
    }


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("name", ["report", "comparison", "leaderboard"])
@pytest.mark.parametrize("look", LOOKS)
def test_a_page_breaks_no_rule_of_accessibility_and_fits(browser, pages, name, look):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(**LOOKS[look])
    errors = []
    page.on("console", lambda m: errors.append(m.text))
    page.on("request", lambda r: None if r.url.startswith("file:") else errors.append(r.url))
    page.goto(pages[name].as_uri())
    for opened in (False, True):
        if opened:
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".verdict").first.bounding_box()["y"] < 350 and not errors
    page.close()


def test_print_shows_what_is_folded(browser, pages):
    page = browser.new_page()
    page.goto(pages["report"].as_uri())
    table = page.locator("details.section table").first
    assert not table.is_visible()
    page.emulate_media(media="print")
    assert table.bounding_box()["height"] > 50
    page.close()


def test_the_keyboard_opens_details_and_scrolls_tables(browser, pages):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(pages["report"].as_uri())
    summary = page.locator("details.section summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.section").first.get_attribute("open") is not None
    region = page.locator(".scroll[role=region]").first
    region.focus()
    assert region.evaluate("r => r === document.activeElement") and region.get_attribute(
        "aria-label"
    )
    page.close()
