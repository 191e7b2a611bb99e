"""Going through a page by its keys alone."""

from __future__ import annotations

from playwright.sync_api import Page


def focused(page: Page) -> str:
    """What has the focus, by its name."""
    said: str = page.evaluate(
        "(e => e.labels?.[0]?.textContent || e.ariaLabel || e.textContent)(document.activeElement).trim()"
    )
    return said


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called so has the focus, which can be seen all the while."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # the browser's own
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", focused(page)
        if focused(page).removesuffix("required").strip() == name:
            return
    raise AssertionError(f"Tab never comes to {name!r}")


def press(page: Page, name: str) -> None:
    """Go to what is called so and press Enter."""
    tab_to(page, name)
    page.keyboard.press("Enter")


def type_in(page: Page, name: str, text: str) -> None:
    """Go to a field and type in place of what stands there."""
    tab_to(page, name)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
