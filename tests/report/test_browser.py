"""The page in a real browser: everything is drawn, nothing overflows, no errors, no name has an effect."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from report_helpers import CLASSES, HOSTILE

from ganeval_cli.main import cli

PHONE, DESKTOP = 375, 1200
HAS = "return document.querySelectorAll(arguments[0]).length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium that records its console."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        pytest.skip("No browser here; on Debian: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(paths[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # A container's root has no sandbox, and its shared memory is small.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    driver = webdriver.Chrome(options=options, service=Service(str(paths[1]), log_output=os.devnull))
    yield driver
    driver.quit()


def report_of(sets: list[Path], extractors: str, folder: Path) -> Path:
    """A report of two hostile sets, written by the command line."""
    path = folder / "report.html"
    sides = [str(one) for one in sets]
    options = ["--metrics", "kid,nn,precision", "--extractor", extractors, "--no-cache", "-q", "--report", str(path)]
    done = CliRunner().invoke(cli, ["compare", *sides, *options], prog_name="ganeval")
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="module")
def page(sets: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report by one extractor."""
    return report_of(sets, "pixels:8", tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def page_of_extractors(sets: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report by two extractors."""
    return report_of(sets, "pixels:8,digits", tmp_path_factory.mktemp("pages"))


def visit(browser: Any, page: Path, width: int, scheme: str = "light") -> None:
    """Open the page with this width and colour scheme."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def test_the_console_stays_empty_and_no_name_acts(browser: Any, page: Path) -> None:
    """There is no error, warning or blocked request, and the title is the page's own."""
    visit(browser, page, DESKTOP)
    assert browser.get_log("browser") == []
    assert browser.title != "owned"
    assert browser.title.endswith("ganeval")
    assert browser.execute_script(HAS, "script, [onload], [onerror], [onclick]") == 0


def test_every_picture_and_figure_is_drawn(browser: Any, page: Path) -> None:
    """Pictures are decoded, and every drawing fills its frame and is not empty."""
    visit(browser, page, DESKTOP)
    undecoded = "return [...document.images].filter(one => !one.complete || !one.naturalWidth).length"
    assert browser.execute_script(HAS, "img") > 100
    assert browser.execute_script(undecoded) == 0
    small = (
        "return [...document.querySelectorAll('.plot svg')].filter(one => one.getBoundingClientRect().height < 150 "
        "|| one.getBBox().width < 250 || one.querySelectorAll('path, use').length < 8).length"
    )
    assert browser.execute_script(HAS, ".plot svg") == 5
    assert browser.execute_script(small) == 0


def test_names_are_read_as_they_are_written(browser: Any, page: Path) -> None:
    """Every file and class name is contained in the page's text unchanged."""
    visit(browser, page, DESKTOP)
    alts = browser.execute_script("return [...document.images].map(one => one.alt)")
    for name in HOSTILE:
        assert any(alt.endswith(name) for alt in alts), name
    rows = browser.execute_script("return [...document.querySelectorAll('.shares tbody th')].map(one => one.innerText)")
    assert {row.strip() for row in rows} == set(CLASSES)


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("shown", ["page", "page_of_extractors"])
def test_the_page_is_no_wider_than_the_screen(
    browser: Any, request: pytest.FixtureRequest, shown: str, width: int
) -> None:
    """Nothing overflows for long names: only tables scroll."""
    visit(browser, request.getfixturevalue(shown), width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    wide = (
        "return [...document.querySelectorAll('body *')].filter(one => !one.closest('.scroll, .skip, svg, .cut') "
        f"&& one.getBoundingClientRect().right > {width} + 1).map(one => one.outerHTML.slice(0, 80))"
    )
    assert browser.execute_script(wide) == []


def test_text_can_be_read_on_light_and_dark(browser: Any, page: Path) -> None:
    """Text, muted text, links and verdicts have a contrast of at least 4.5 with their background (WCAG AA)."""
    contrast = """
      const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
      const behind = e => { while (e) { const c = getComputedStyle(e).backgroundColor;
        if (!c.endsWith(', 0)')) return c; e = e.parentElement; } return 'rgb(255, 255, 255)'; };
      return [...document.querySelectorAll('p, th, td, a, h1, li, figcaption, .verdict, .set, .plot text')].map(e => {
        const style = getComputedStyle(e), ink = e.closest('svg') ? style.fill : style.color;
        const [a, b] = [light(ink), light(behind(e.closest('svg') || e))].sort((x, y) => y - x);
        return (a + .05) / (b + .05); }).reduce((x, y) => Math.min(x, y));
    """
    backgrounds = []
    for scheme in ("light", "dark"):
        visit(browser, page, DESKTOP, scheme)
        assert browser.execute_script(contrast) >= 4.5
        backgrounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(set(backgrounds)) == 2


def test_the_keyboard_reaches_everything(browser: Any, page: Path) -> None:
    """The first tab stop skips to the values; scrolling tables, links and folded parts can be focused."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    visit(browser, page, PHONE)
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("href").endswith("#values")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#values")
    unreachable = (
        "return [...document.querySelectorAll('.scroll, a, summary')].filter(one => one.tabIndex !== 0).length"
    )
    assert browser.execute_script(unreachable) == 0


def test_the_page_can_be_printed(browser: Any, page: Path) -> None:
    """In print, text is dark on white without the navigation, and folded parts are unfolded."""
    visit(browser, page, DESKTOP, "dark")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    color = browser.execute_script("return getComputedStyle(document.body).color")
    shown = browser.execute_script("return getComputedStyle(document.querySelector('nav')).display")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert (color, shown) == ("rgb(0, 0, 0)", "none")
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 50_000
