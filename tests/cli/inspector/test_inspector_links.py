"""The inspector in a headless Chromium: what moves together, and checkpoints that have names."""

import json

import pytest

from tests.cli.inspected import (
    COMMAND,
    drawn,
    headings,
    opened,
    quiet,
    resize,
    served,
    wait,
    write_external,
    write_results,
    write_run,
)

pytest.importorskip("dash")
pytest.importorskip("selenium")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name in ("plain", "sam"):
        write_run(folder / name)
        stored = json.loads((folder / name / "config.json").read_text())["plan"]
        for checkpoint in ("best", "step_000050"):
            write_results(folder / name, checkpoint, stored)
    write_external(folder / "mine")
    with served(folder) as found:
        yield found


@pytest.fixture
def browser():
    with opened() as found:
        yield found


def pixel(browser, panel, trace, at):
    """Where a point of a curve is on the page."""
    script = (
        "const p = document.querySelector('[data-panel=' + arguments[0] + '] .js-plotly-plot');"
        "const t = p._fullData.find(t => t.name === arguments[1]);"
        "const {_fullLayout: l} = p, box = p.getBoundingClientRect();"
        "return [box.left + l.xaxis._offset + l.xaxis.d2p(t.x[arguments[2]]),"
        "box.top + l.yaxis._offset + l.yaxis.d2p(t.y[arguments[2]])]"
    )
    return browser.execute_script(script, panel, trace, at)


def test_a_click_on_a_curve_is_followed_everywhere(browser, address):
    """A class in focus has its curves drawn; another curve brings its class into focus."""
    browser.get(f"{address}?runs=plain&panels=spectrum&panels=nonconvexity&focus=3")
    wait(browser, lambda: len(drawn(browser)) == 2)
    quiet(browser)
    x, y = pixel(browser, "nonconvexity", "class 7", 1)
    move = ActionChains(browser)
    move.w3c_actions.pointer_action.move_to_location(int(x), int(y))
    move.pause(0.3).click().perform()
    wait(browser, lambda: "plain · epoch 200 · class 7" in headings(browser))
    assert "focus=7" in browser.current_url


def test_reliefs_of_two_runs_turn_together(browser, address):
    browser.get(f"{address}?runs=plain&runs=sam&panels=surface&surface=3d")
    canvas = ".board .js-plotly-plot canvas"
    wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, canvas)) >= 2)
    quiet(browser)
    every = "[...document.querySelectorAll('.board .js-plotly-plot')]"
    eyes = f"return {every}.map(p => p._fullLayout.scene._scene.getCamera().eye)"
    before = browser.execute_script(eyes)
    assert before[0] == before[1]
    first = browser.find_element(By.CSS_SELECTOR, canvas)
    ActionChains(browser).drag_and_drop_by_offset(first, 120, 40).perform()
    wait(browser, lambda: browser.execute_script(eyes)[1] != before[1])
    after = browser.execute_script(eyes)
    assert after[1] == {axis: pytest.approx(value) for axis, value in after[0].items()}


def test_the_keyboard_reaches_named_checkpoints(browser, address):
    browser.get(f"{address}?runs=plain&panels=confusion")
    wait(browser, lambda: "plain · epoch 200" in headings(browser))
    quiet(browser)
    browser.find_element(By.ID, "epoch").click()
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.get_attribute("id") == "named"
    keys = ActionChains(browser).send_keys(Keys.ENTER).pause(0.3)
    keys.send_keys(Keys.ARROW_DOWN).pause(0.1).send_keys(Keys.ENTER).perform()
    wait(browser, lambda: "plain · best" in headings(browser))
    wait(browser, lambda: "checkpoint=best" in browser.current_url)
    assert not browser.find_element(By.ID, "epoch").is_enabled()


def test_an_external_model_shows_the_command_to_type(browser, address):
    for width in (1280, 390):
        resize(browser, width)
        browser.get(f"{address}?runs=mine&panels=spectrum&panels=surface")
        wait(browser, lambda: "mine · model_final · overall" in headings(browser))
        wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".board code"))
        (code,) = browser.find_elements(By.CSS_SELECTOR, ".board code")
        assert code.text == f"{COMMAND} --analyses surface"
        assert not browser.find_elements(By.CSS_SELECTOR, ".board .place > button")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
