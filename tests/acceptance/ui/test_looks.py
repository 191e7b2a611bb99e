from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.looks import faults
from tests.unit.web.ui.addresses import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.long("light-390", "dark-1280")
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 360)])
def test_every_page_can_be_read_by_everybody(site: Site, theme: str, width: int) -> None:
    page = site.open("/ui", width=width, theme=theme)
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        answer = page.goto(site.url + path.format(**site.ids))
        assert answer is not None
        assert answer.status == 200
        if wrong := faults(page):
            found[name] = wrong
    assert found == {}


def test_the_keyboard_goes_through_a_page_in_its_order(site: Site) -> None:
    page = site.open("/ui/runs")
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("(document.activeElement.textContent || document.activeElement.id).trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", order[-1]
    assert order[:2] == ["Skip to the content", "Hubspoke"]
    assert order.index("Overview") < order.index("Channels") < order.index("All") < order.index("Filter")


def test_the_skip_link_leads_to_the_content(site: Site) -> None:
    page = site.open("/ui/runs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_menu_of_a_small_screen_opens_and_closes(site: Site) -> None:
    page = site.open("/ui/runs", width=390)
    menu = page.get_by_role("navigation", name="Sections")
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()


def test_the_colours_can_be_chosen_without_the_script(site: Site) -> None:
    page = site.open("/ui/runs", javascript=False)
    for theme in ("dark", "light"):
        page.get_by_role("button", name="Colours").click()
        expect(page.locator("html")).to_have_attribute("data-theme", theme)


def test_a_page_can_be_printed_without_its_frame(site: Site) -> None:
    page = site.open("/ui/runs/{failed}")
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Sections")).to_be_hidden()
    expect(page.locator("ol.log")).to_be_visible()


def test_the_check_itself_finds_what_is_wrong(site: Site) -> None:
    page = site.open("/ui/runs")
    page.evaluate(
        """document.querySelector('main').insertAdjacentHTML('beforeend', `<h3>Skipped</h3><input id="bare">
        <button></button><p class="soft"><em>text</em></p><div class="chart"><svg role="img"></svg></div>`)"""
    )
    page.evaluate("document.querySelector('em').attributeStyleMap.set('color', 'lightgray')")
    found = [fault.partition(":")[0].split(" ")[0] for fault in faults(page)]
    assert sorted(set(found)) == ["contrast", "heading", "no"]
