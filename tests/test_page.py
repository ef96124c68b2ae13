"""The page of `mixling serve` in a real browser: typing, filters, errors, keys, accessibility."""

import json
import shutil
import time

import pytest

from conftest import Server
from mixling.corpora import folder, sample
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.serving.app import application
from mixling.serving.config import ServerConfig
from mixling.serving.keys import create_key, read_keys

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCRIPT = (
    "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script> bridge"
)


@pytest.fixture(scope="module")
def store(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    folder.write_folder(sample.read_sample("all"), root / "sample")
    with (root / "sample" / "corpus.jsonl").open("a") as out:
        out.write(
            json.dumps({"_id": "a/../b c", "title": SCRIPT, "text": SCRIPT, "language": "en"})
            + "\n"
        )
    index(str(chain), root / "sample", str(root / "store"), size=60, precision="fp32")
    return str(root / "store")


@pytest.fixture(scope="module")
def address(store):
    server = Server(application(Searcher(store)))
    yield server.address
    server.stop()


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


@pytest.fixture
def page(browser, request):
    """A page that fails the test at an error of the console or a call of another server."""
    page = browser.new_page(**getattr(request, "param", {}))
    errors = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on(
        "request", lambda r: None if r.url.startswith("http://127.0.0.1") else errors.append(r.url)
    )
    page.errors = errors
    yield page
    assert not page.errors
    page.close()


def until(page, condition, seconds=20):
    """Wait until a condition holds.

    Playwright's wait evaluates text in the page, which the page's content policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def search(page, query):
    page.fill("#query", query)
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#status').textContent.includes(' ms')")


def badges(page):
    return page.locator("#results .badge").all_inner_texts()


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(v["id"], [n["html"] for n in v["nodes"]]) for v in found]


def test_a_user_types_and_finds_and_filters(page, address):
    page.goto(address)
    search(page, "How old is the bridge?")
    assert page.locator("#results li").count() == 10 and page.locator("#results mark").count() == 10
    shares = page.locator("#shares li").all_inner_texts()
    assert sum(int(x.split()[-1]) for x in shares) == 10
    page.select_option("#only", "sw")
    until(
        page,
        "[...document.querySelectorAll('#results .badge')].every(b => b.textContent === 'Swahili')",
    )
    assert set(badges(page)) == {"Swahili"}
    page.select_option("#only", "")
    page.check("input[value=others]")
    until(
        page,
        "![...document.querySelectorAll('#results .badge')].some(b => b.textContent === 'English')",
    )
    assert "English" not in badges(page)
    page.check("input[value=query-language]")
    until(
        page,
        "[...document.querySelectorAll('#results .badge')].every(b => b.textContent === 'English')",
    )
    assert page.url.endswith("?q=How%20old%20is%20the%20bridge%3F")


def test_an_address_with_a_query_is_a_search_and_an_order_shows_its_moves(page, address):
    page.goto(address + "?q=bridge")
    page.wait_for_selector("#results li")
    page.check("#show-moves")
    page.wait_for_selector("#results .moved")
    assert all("by score alone" in t for t in page.locator("#results .moved").all_inner_texts())
    page.select_option("#order", "score")
    until(
        page,
        "[...document.querySelectorAll('#results .moved')].every(m => m.textContent.includes('the "
        "same place'))",
    )
    page.locator("#results summary").first.click()
    assert "score" in page.locator("#results details p").first.inner_text()


def test_right_to_left_text_and_words(page, address):
    page.goto(address)
    page.select_option("#page-language", "ar")
    assert page.evaluate("document.documentElement.dir") == "rtl"
    assert page.locator("button[type=submit]").inner_text() != "Search"
    page.select_option("#only", "ar")
    search(page, "كم عمر الجسر؟")
    texts = page.locator("#results .text")
    assert set(texts.evaluate_all("all => all.map(t => t.dir + t.lang)")) == {"rtlar"}
    assert page.evaluate("getComputedStyle(document.querySelector('#query')).direction") == "rtl"
    page.select_option("#only", "en")
    until(page, "document.querySelector('#results .text').dir === 'ltr'")


def test_what_documents_say_is_text_and_never_script(page, address):
    page.goto(address)
    page.select_option("#only", "en")
    search(page, SCRIPT)
    page.wait_for_selector("#results li")
    opened = page.locator("#results .open", has_text="<img src=x")
    # a title takes room of its passages, so a document of a long one has several
    assert opened.count() >= 1 and page.locator("#results img").count() == 0
    opened.first.click()
    page.wait_for_selector("#document[open]")
    assert (
        page.locator("#doctitle").inner_text() == SCRIPT
        and page.locator("#doctext img").count() == 0
    )
    page.keyboard.press("Escape")
    assert not page.locator("#document").is_visible()
    assert page.title() == "Mixling"


def test_keyboard_alone(page, address):
    page.goto(address)
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type("bridge")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results li")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("#results .open").nth(1)
    assert second.evaluate("b => b === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_selector("#document[open]")
    page.keyboard.press("Escape")


def test_errors_slowness_and_empty_results_are_shown(page, address):
    page.goto(address)
    until(page, "document.querySelector('#only').options.length > 2")
    page.route(
        "**/v1/search", lambda r: r.fulfill(status=500, json={"error": {"message": "it broke"}})
    )
    page.fill("#query", "bridge")
    page.keyboard.press("Enter")
    page.wait_for_selector("#status.error")
    assert "it broke" in page.locator("#status").inner_text()
    page.unroute("**/v1/search")
    held = []  # however slow the machine, the page waits for the answer
    page.route("**/v1/search", lambda route: held.append(route))
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#status').textContent.includes('Searching')")
    while not held:
        page.wait_for_timeout(20)
    held[0].fulfill(json={"results": [], "query_language": "en", "ms": 1.0})
    until(page, "document.querySelector('#status').textContent.includes('Nothing found')")
    assert page.locator("#results li").count() == 0 and not page.locator("#shares").is_visible()
    page.errors[:] = [w for w in page.errors if "500" not in w]  # the browser's note of the answer


def test_a_key_is_asked_for(page, store, tmp_path):
    key, line = create_key("me")
    (tmp_path / "keys").write_text(line)
    server = Server(application(Searcher(store), ServerConfig(keys=read_keys(tmp_path / "keys"))))
    try:
        page.goto(server.address)
        page.wait_for_selector("#key")
        until(page, "!document.querySelector('#keyfield').hidden")
        page.fill("#key", key)
        search(page, "bridge")
        assert page.locator("#results li").count() == 10
        assert key not in page.url and page.evaluate("localStorage.length") == 0
    finally:
        server.stop()
    page.errors[:] = [w for w in page.errors if "401" not in w]


LOOKS = [
    {"viewport": {"width": 1200, "height": 900}},
    {"viewport": {"width": 360, "height": 740}},
    {"viewport": {"width": 900, "height": 900}, "color_scheme": "dark"},
    {"viewport": {"width": 900, "height": 900}, "locale": "ar"},
]


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=["wide", "narrow", "dark", "arabic"])
def test_it_breaks_no_rule_of_accessibility(page, address):
    page.goto(address)
    until(page, "document.querySelector('#only').options.length > 2")
    assert violations(page) == []
    page.fill("#query", "bridge")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results li")
    page.locator("#results summary").first.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator("#results .open").first.click()
    page.wait_for_selector("#document[open]")
    assert violations(page) == []
