"""The inspector in a browser where there is one: one small folder, one picture, one class."""

import pytest

from tests.cli.inspected import chromium, headings, opened, press, served, wait, write_run

pytest.importorskip("dash")
pytest.importorskip("selenium")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.skipif(None in chromium(), reason="needs chromium and chromedriver on the path")
def test_open_a_run_and_follow_a_class(tmp_path):
    write_run(tmp_path / "plain", epochs=(0, 200), kinds=("spectrum",))
    with served(tmp_path) as address, opened() as browser:
        browser.get(f"{address}?runs=plain&panels=spectrum")
        curve = ".board .js-plotly-plot .scatterlayer .trace"
        wait(browser, lambda: browser.find_elements("css selector", curve))
        assert headings(browser) == ["plain · epoch 200 · overall"]
        wait(browser, lambda: browser.find_elements("css selector", "table.classes button"))
        press(browser, "class 7")
        wait(browser, lambda: "plain · epoch 200 · class 7" in headings(browser))
