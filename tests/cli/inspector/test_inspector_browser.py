"""The inspector in a headless Chromium, as a person uses it."""

import subprocess
import sys

import pytest

from tests.cli.inspected import (
    drawn,
    headings,
    opened,
    press,
    quiet,
    resize,
    served,
    wait,
    write_checkpoints,
    write_config,
    write_run,
)

pytest.importorskip("dash")
pytest.importorskip("selenium")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]
ALL = "&".join(
    f"panels={name}"
    for name in (
        *("spectrum", "surface", "accuracy", "confusion", "conflicts", "nonconvexity"),
        *("gradient-similarity", "feature-quality", "cca", "similarity", "embedding"),
    )
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "plain", "ce")
    write_run(folder / "sam", "ce-drw+sam", seed=1)
    write_run(folder / "evil", "<img src=x onerror=alert(1)>", kinds=("spectrum", "accuracy"))
    write_config(folder / "new")
    write_checkpoints(folder / "new")
    return folder


@pytest.fixture(scope="module")
def address(runs):
    with served(runs) as found:
        yield found


@pytest.fixture
def browser():
    with opened() as found:
        yield found


def open_runs(browser):
    """Open the table of runs, which is closed while runs are in view."""
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "table.runs tbody tr"))
    browser.find_element(By.CSS_SELECTOR, ".at-runs summary").click()


def slide(browser, *keys):
    slider = browser.find_element(By.ID, "epoch")
    slider.send_keys(*keys)


def test_choose_two_runs_slide_follow_a_class_and_share(browser, address):
    browser.get(f"{address}?runs=plain")
    open_runs(browser)
    wait(browser, lambda: any("plain" in h for h in headings(browser)))
    press(browser, "show sam")
    wait(browser, lambda: any("sam · epoch 200" in h for h in headings(browser)))
    slide(browser, Keys.ARROW_LEFT)
    wait(browser, lambda: any("sam · epoch 100" in h for h in headings(browser)))
    press(browser, "class 7")
    wait(browser, lambda: "sam · epoch 100 · class 7" in headings(browser))
    wait(browser, lambda: len(drawn(browser)) >= 11)
    quiet(browser)
    shared = browser.current_url
    assert {"runs=plain", "runs=sam", "epoch=100", "focus=7"} <= set(
        shared.split("?")[1].split("&")
    )
    before = headings(browser)
    browser.get("about:blank")
    browser.get(shared)
    wait(browser, lambda: headings(browser) == before)
    assert browser.current_url == shared


def test_a_click_on_a_heat_map_is_followed_everywhere(browser, address):
    browser.get(f"{address}?runs=plain&panels=spectrum&panels=conflicts")
    wait(browser, lambda: len(drawn(browser)) == 2)
    quiet(browser)
    cells = browser.find_element(
        By.CSS_SELECTOR, "section[aria-labelledby=heading-conflicts] .nsewdrag"
    )
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cells)
    height = cells.size["height"]
    at = ActionChains(browser).move_to_element_with_offset(cells, 0, int(height * 0.25))
    at.pause(0.3).click().perform()
    wait(browser, lambda: "plain · epoch 200 · class 7" in headings(browser))


def test_zooming_one_run_zooms_the_other(browser, address):
    browser.get(f"{address}?runs=plain&runs=sam&panels=nonconvexity")
    wait(browser, lambda: len(drawn(browser)) == 2)
    quiet(browser)
    browser.execute_script(
        "Plotly.relayout(document.querySelector('.board .js-plotly-plot'),"
        "{'xaxis.range[0]': 50, 'xaxis.range[1]': 150})"
    )
    every = "[...document.querySelectorAll('.board .js-plotly-plot')]"
    read = f"return {every}.map(p => p.layout.xaxis.range)"
    wait(browser, lambda: browser.execute_script(read) == [[50, 150], [50, 150]])


def test_playing_moves_through_the_checkpoints(browser, address):
    browser.get(f"{address}?runs=plain&panels=confusion&epoch=0")
    wait(browser, lambda: "plain · epoch 0" in headings(browser))
    press(browser, "play through the checkpoints")
    wait(browser, lambda: "plain · epoch 100" in headings(browser))
    press(browser, "play through the checkpoints")


@pytest.mark.parametrize("width", [1280, 390])
def test_every_panel_is_drawn_and_nothing_overflows(browser, address, width):
    resize(browser, width)
    browser.get(f"{address}?runs=plain&runs=sam&focus=3&{ALL}")
    wait(browser, lambda: len(drawn(browser)) == 24)
    quiet(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    script = (
        "return [...document.querySelectorAll('.board .js-plotly-plot')].map(p =>"
        "[p.getBoundingClientRect().width, p._fullData.length])"
    )
    for wide, traces in browser.execute_script(script):
        assert 250 < wide <= width
        assert traces > 0
    assert not browser.find_elements(By.CSS_SELECTOR, ".board .sentence")


def test_panels_out_of_sight_wait_until_they_are_scrolled_to(browser, address):
    resize(browser, 1280, 900)
    browser.get(f"{address}?runs=plain&runs=sam&{ALL}")
    wait(browser, lambda: drawn(browser))
    quiet(browser)
    assert len(drawn(browser)) < 8
    last = browser.find_element(By.CSS_SELECTOR, "[data-panel=embedding]")
    assert not last.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")

    def arrives():  # what is drawn on the way pushes it further down
        browser.execute_script("arguments[0].scrollIntoView()", last)
        return last.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")

    wait(browser, arrives)


def test_texts_of_runs_are_no_markup(browser, address):
    browser.get(f"{address}?runs=evil&panels=spectrum&panels=accuracy")
    wait(browser, lambda: len(drawn(browser)) == 2)
    quiet(browser)
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert (
        "<img src=x"
        in browser.find_element(
            By.CSS_SELECTOR, ".board svg text.legendtext, .board .annotation-text"
        ).text
    )


def test_a_missing_analysis_is_started_and_told_of(browser, address, monkeypatch):
    real, waits = subprocess.Popen, [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(
        "cli.inspector.jobs.subprocess.Popen", lambda _command, **options: real(waits, **options)
    )
    browser.get(f"{address}?runs=new&panels=spectrum&panels=confusion")
    wait(browser, lambda: "No spectrum of epoch 200 yet." in browser.page_source)
    press(browser, "Compute spectrum of epoch 200")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#jobs li"))
    press(browser, "cancel spectrum of new")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#jobs .cancelled"))


def test_the_page_opens_on_pictures_dark_where_the_system_is(browser, address):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    browser.get(address)
    wait(browser, lambda: drawn(browser))
    read = "return document.documentElement.dataset.theme"
    wait(browser, lambda: browser.execute_script(read) == "dark")
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = browser.execute_script(ground)
    browser.find_element(By.ID, "theme").click()
    wait(browser, lambda: browser.execute_script(read) == "light")
    assert browser.execute_script(ground) != dark
    browser.get(address)
    wait(browser, lambda: browser.execute_script(read) == "light")


def test_the_keyboard_reaches_the_runs(browser, address):
    browser.get(f"{address}?runs=plain")
    open_runs(browser)
    button = browser.find_element(By.XPATH, "//button[@aria-label='show sam']")
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.switch_to.active_element == button:
            break
    assert browser.switch_to.active_element == button
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    wait(browser, lambda: any(h.startswith("sam") for h in headings(browser)))
