"""The pages in a real browser: opened as files, with the network off."""

import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from bnpipe.core.csv_files import read_table
from tests.browser.install import browser as path_of_browser
from tests.pages import CONFIGURATION, figures_of, make_results, render, render_studies

PATH = path_of_browser()
pytestmark = pytest.mark.skipif(
    PATH is None, reason="Chromium is missing; `python -m tests.browser.install` installs it"
)
SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
TWO_CONDITIONS = {
    **CONFIGURATION,
    "conditions": {
        **CONFIGURATION["conditions"],
        "relu": {**CONFIGURATION["conditions"]["tanh"], "activation": "relu"},
    },
}
LINES = "#explore-curves .chart svg .mark-line path"  # of the chart of curves
BLUE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='90' height='90'%3E"
    "%3Crect width='90' height='90' fill='%230072B2'/%3E%3C/svg%3E"
)
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_results(tmp_path_factory.mktemp("results"), TWO_CONDITIONS)
    render(folder, TWO_CONDITIONS)
    render_studies(folder, TWO_CONDITIONS)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PATH, args=SWITCHES)
        yield running
        running.close()


class Opened:
    """Opens pages, and notes what a page must not do: report an error, or request anything but itself."""

    def __init__(self, chromium: Browser, folder: Path) -> None:
        self.chromium, self.folder = chromium, folder
        self.complaints: list[str] = []

    def __call__(self, name: str = "report", width: int = 1280, **context: Any) -> Page:
        page = self.chromium.new_context(offline=True, viewport={"width": width, "height": 900}, **context).new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note(request.url))
        page.goto(f"file://{self.folder}/{name}.html")
        return page

    def _note(self, address: str) -> None:
        if not address.startswith((f"file://{self.folder}/", "data:")):
            self.complaints.append(f"asked for {address}")


@pytest.fixture
def opened(chromium: Browser, folder: Path) -> Iterator[Opened]:
    opened = Opened(chromium, folder)
    yield opened
    for context in chromium.contexts:
        context.close()
    assert opened.complaints == []


def explore(page: Page, name: str) -> None:
    """Scroll to a chart and wait until it is drawn."""
    page.locator(f"#explore-{name}").scroll_into_view_if_needed()
    page.locator(f"#explore-{name} .chart svg").wait_for()


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")


def tick(page: Page, group: str, name: str) -> None:
    page.locator(f"#choose-{group}-curves").get_by_label(name, exact=True).click()


def test_every_figure_is_there_and_has_a_size(opened: Opened) -> None:
    images = opened().locator("figure img")
    assert images.count() == len(figures_of(TWO_CONDITIONS))
    for image in images.all():
        image.scroll_into_view_if_needed()
        box = image.bounding_box()
        assert box
        assert min(box["width"], box["height"]) > 100
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 480


def test_it_opens_within_a_second_or_says_how_long_it_took(opened: Opened) -> None:
    start = time.perf_counter()
    page = opened()
    took = time.perf_counter() - start
    print(f"opened in {took:.2f} s")  # this depends on the machine, so it is not asserted
    assert page.title() == "Batch normalization on MNIST: bnpipe report"


def test_boxes_choose_the_curves_that_are_drawn(opened: Opened) -> None:
    page = opened()
    explore(page, "curves")
    lines = page.locator(LINES)
    assert lines.count() == 2 * 2  # arms, seeds, of the first condition
    tick(page, "condition", "relu")
    page.wait_for_function("count => document.querySelectorAll(count[0]).length === count[1]", arg=[LINES, 8])
    tick(page, "arm", "vanilla")
    page.wait_for_function("count => document.querySelectorAll(count[0]).length === count[1]", arg=[LINES, 4])
    tick(page, "seed", "2000")
    page.wait_for_function("count => document.querySelectorAll(count[0]).length === count[1]", arg=[LINES, 2])
    before = lines.first.get_attribute("d")
    page.locator("#choose-measure-curves select").select_option("loss")
    page.wait_for_function("was => document.querySelector(was[0]).getAttribute('d') !== was[1]", arg=[LINES, before])
    page.locator("#explore-curves .reset").click()
    page.wait_for_function("count => document.querySelectorAll(count[0]).length === count[1]", arg=[LINES, 4])


def test_a_curve_tells_its_values_where_the_pointer_is(opened: Opened) -> None:
    page = opened()
    explore(page, "curves")
    chart = page.locator("#explore-curves .chart svg").bounding_box()
    assert chart
    page.mouse.move(chart["x"] + chart["width"] * 0.9, chart["y"] + chart["height"] * 0.3)
    shown = page.locator("#vg-tooltip-element.visible")
    shown.wait_for()
    text = shown.inner_text()
    for part in ("condition", "tanh", "arm", "seed", "step", "60", "accuracy", "loss"):
        assert part in text
    assert "undefined" not in text


def test_the_wheel_zooms_with_ctrl_alone_and_a_double_click_goes_back(opened: Opened) -> None:
    page = opened()
    explore(page, "curves")
    labels = (
        "() => [...document.querySelectorAll('#explore-curves .role-axis-label text')].map(e => e.textContent).sort()"
    )
    before = page.evaluate(labels)
    page.locator("#explore-curves .chart svg").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(f"was => ({labels})().join() !== was.join()", arg=before)
    page.locator("#explore-curves .chart svg").dblclick()
    page.wait_for_function(f"was => ({labels})().join() === was.join()", arg=before)
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, 100)
    page.wait_for_function("was => scrollY === was + 100", arg=scrolled)
    assert page.evaluate(labels) == before


def test_charts_can_be_used_by_keyboard(opened: Opened) -> None:
    page = opened()
    explore(page, "curves")
    page.locator("#choose-condition-curves input").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # ticks the second condition
    page.wait_for_function("count => document.querySelectorAll(count[0]).length === count[1]", arg=[LINES, 8])
    page.locator("#choose-steps-curves input").last.focus()
    page.keyboard.press("Home")  # back to step 0
    page.wait_for_function("() => !document.querySelector('#explore-curves .chart svg').innerHTML.includes('>60<')")


def test_a_choice_on_the_map_of_a_study_is_followed_by_its_table(opened: Opened) -> None:
    page = opened("studies")
    explore(page, "map-of-rates")
    rows = page.locator("#table-study-rates-runs tbody tr")
    assert rows.count() == 2 * 2 * 2 * 2  # learning rates, initializations, arms, seeds
    page.locator("#choose-only-map-of-rates").get_by_label("learning rate").select_option("0.1")
    shown = "#table-study-rates-runs tbody tr:not([hidden])"
    page.wait_for_function("shown => document.querySelectorAll(shown).length === 8", arg=shown)
    page.locator("#explore-map-of-rates .chart .mark-rect path").first.click()
    page.wait_for_function("shown => document.querySelectorAll(shown).length === 2", arg=shown)
    cells = page.locator(shown).first.locator("td").all_text_contents()
    assert page.locator("#choose-only-map-of-rates").get_by_label("learning rate").input_value() == cells[0]


def test_tables_sort_by_click_and_by_keyboard(opened: Opened) -> None:
    page = opened()
    unfold(page)
    table = page.locator("#table-summary")
    header = table.locator("th", has_text="final validation accuracy")
    means = table.locator("tbody td:nth-child(5)")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert means.all_inner_texts() == ["9.50%", "9.50%", "94.50%", "94.50%"]
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert means.all_inner_texts() == ["94.50%", "94.50%", "9.50%", "9.50%"]
    table.locator("th", has_text="arm").get_by_role("button").click()
    assert header.get_attribute("aria-sort") is None


def test_unknown_values_sort_last_both_ways(opened: Opened) -> None:
    page = opened()
    page.locator("summary", has_text="Table of 8 runs").click()
    table = page.locator("#table-runs")
    header = table.locator("th", has_text="steps to 90%")
    for _ in range(2):
        header.get_by_role("button").click()
        assert table.locator("tbody td:nth-child(8)").all_inner_texts() == ["60"] * 4 + [""] * 4


@pytest.mark.parametrize("permitted", [True, False])
def test_a_table_is_copied_as_csv(opened: Opened, folder: Path, permitted: bool) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    if not permitted:  # as in browsers that give pages from files no clipboard
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    unfold(page)
    tools = page.locator(".tools", has=page.locator("xpath=following-sibling::*[1]//table[@id='table-summary']"))
    tools.get_by_role("button", name="Copy as CSV").click()
    tools.get_by_role("status").get_by_text("Copied 4 rows.").wait_for()
    page.evaluate("document.body.prepend(document.createElement('textarea'))")
    page.locator("body > textarea").focus()
    page.keyboard.press("Control+V")
    names, *rows = csv.reader(io.StringIO(page.locator("body > textarea").input_value()))
    summary = read_table(folder / "tables/summary.csv")
    assert names == [name for name in summary.columns.astype(str) if "deviation" not in name]
    assert sorted(float(row[4]) for row in rows) == sorted(summary["mean"])  # the exact values, not what is shown


@pytest.mark.parametrize("name", ["report", "studies"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_nothing_is_wider_than_the_screen(opened: Opened, name: str, width: int) -> None:
    page = opened(name, width)
    unfold(page)
    for chart in page.locator(".explorer").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def corner(part: Locator) -> tuple[int, ...]:
    """Return the background colour of a figure or a chart, as it appears on the screen."""
    part.scroll_into_view_if_needed()
    with Image.open(io.BytesIO(part.screenshot())) as seen:
        pixel = seen.convert("RGB").getpixel((seen.width - 8, seen.height - 8))
    assert isinstance(pixel, tuple)
    return tuple(int(part) for part in pixel)


def test_dark_is_dark_figures_and_charts_too(opened: Opened) -> None:
    ground = """name => getComputedStyle(document.querySelector(name)).backgroundColor"""
    grounds = {"light": ("rgb(255, 255, 255)", range(255, 256)), "dark": ("rgb(22, 24, 28)", range(40))}
    for scheme, (page_ground, levels) in grounds.items():
        page = opened(color_scheme=scheme)
        explore(page, "curves")
        assert page.evaluate(ground, "body") == page_ground
        for shown in (".chart", "figure img"):
            assert {*corner(page.locator(shown).first)} <= {*levels}
    # Hues stay: the figure's blue does not become orange.
    page.set_content(f"<style>{page.locator('style').first.inner_text()}</style><figure><img></figure>")
    page.locator("img").evaluate("(image, blue) => { image.src = blue; return image.decode(); }", BLUE)
    red, _, blue = corner(page.locator("img"))
    assert blue > red + 50


def test_a_chart_without_a_run_says_so(opened: Opened) -> None:
    page = opened()
    explore(page, "curves")
    empty = page.locator("#explore-curves .empty")
    assert not empty.is_visible()
    tick(page, "arm", "vanilla")
    tick(page, "arm", "batchnorm")
    empty.get_by_text("No run fits these choices.").wait_for()
    tick(page, "arm", "batchnorm")
    empty.wait_for(state="hidden")
    # Vega's own message, on the console.
    assert all("Infinite extent" in complaint for complaint in opened.complaints)
    opened.complaints.clear()
    page = opened("studies")
    explore(page, "map-of-rates")
    empty = page.locator("#explore-map-of-rates .empty")
    assert not empty.is_visible()
    page.locator("#choose-only-map-of-rates").get_by_label("arm").select_option("vanilla")
    page.locator("#choose-show-map-of-rates").get_by_label("outcome").select_option("steps_to_90")
    page.wait_for_timeout(300)
    assert not empty.is_visible()  # the others are faint


def test_origins_are_behind_a_mark_that_opens_by_keyboard(opened: Opened) -> None:
    page = opened()
    origins = page.locator("figure .origin")
    assert not any(origin.is_visible() for origin in origins.all())
    page.locator("figure .info summary").first.focus()
    page.keyboard.press("Enter")
    origins.first.wait_for()
    assert "drawn by code" in origins.first.inner_text()


def test_the_contents_stay_in_view_and_mark_what_is_read(opened: Opened) -> None:
    page = opened(width=1280)
    page.locator("#methods").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('methods').scrollIntoView()")
    page.locator("nav a[aria-current]", has_text="Methods").wait_for()
    box = page.locator("nav a", has_text="The short answer").bounding_box()
    assert box
    assert 0 <= box["y"] < 900


def test_the_central_figure_comes_first(opened: Opened) -> None:
    box = opened(width=1280).locator("figure img").first.bounding_box()
    assert box
    assert box["y"] < 450
    assert box["width"] > 800


@pytest.mark.parametrize("name", ["report", "studies"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_accessibility_check_finds_nothing_serious(opened: Opened, name: str, scheme: str) -> None:
    page = opened(name, color_scheme=scheme, bypass_csp=True)  # the check is a script, which the page would not run
    unfold(page)
    for chart in page.locator(".explorer").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg").first.wait_for()
    findings = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [finding for finding in findings if finding["impact"] in SERIOUS]
    assert [(finding["id"], [node["html"][:200] for node in finding["nodes"][:3]]) for finding in serious] == []


def test_it_prints_with_all_figures_and_without_what_only_works_on_a_screen(opened: Opened) -> None:
    page = opened()
    page.emulate_media(media="print")
    pdf = page.pdf()
    drawn = re.findall(rb"/Type /Page\b", pdf)
    assert len(drawn) > 5
    hidden = [page.locator(selector).first for selector in ("nav", ".explorer", ".tools", "summary")]
    assert not any(part.is_visible() for part in hidden)
    assert page.locator("#table-claims").is_visible()  # although it is in a closed `details`
    for image in page.locator("figure img").all():
        assert image.is_visible()
        assert image.evaluate("image => image.complete && image.naturalWidth") == 480


def test_it_prints_on_white_from_a_dark_desktop(opened: Opened) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    for part in ("body", ".cards li", ".answer"):
        ground = page.evaluate("part => getComputedStyle(document.querySelector(part)).backgroundColor", part)
        assert min(int(number) for number in re.findall(r"\d+", ground)) > 240
    assert page.evaluate("getComputedStyle(document.querySelector('figure img')).filter") == "none"


def test_without_scripts_everything_but_the_charts_is_there(opened: Opened) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("figure img").count() == len(figures_of(TWO_CONDITIONS))
    assert not page.locator(".explorer").first.is_visible()
    assert page.get_by_role("button").count() == 0  # no button that does nothing
    page.locator("summary", has_text="Table of 8 runs").click()
    assert page.locator("#table-runs").is_visible()


def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(opened: Opened) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
