"""What waits for a deployment's flow control is seen as it happens, and its reason leads to the run."""

from __future__ import annotations

import httpx2
import pytest
from playwright.sync_api import expect
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.keys import press
from tests.acceptance.ui.looks import faults

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 20_000
ASKED = {"parameters": {"repository": "octocat/hello", "target": {"host": "build"}}}


def test_what_a_debounce_holds_back_appears_with_its_reason_and_leads_to_its_run(site: Site) -> None:
    page = site.open("/ui/deployments/{ci}")
    expect(page.locator("#control")).to_contain_text("1. debounce")
    asked = httpx2.post(f"{site.url}/api/v1/deployments/github-ci/runs", json=ASKED)
    assert asked.status_code == 201, asked.text
    run = asked.json()
    expect(page.locator("#waits")).to_contain_text(run["name"], timeout=SOON)
    expect(page.locator("#waits")).to_contain_text("debounce")
    expect(page.locator("#control")).to_contain_text("1 request so far")
    assert faults(page) == []
    press(page, run["name"])
    expect(page.get_by_text("Why it waits")).to_be_visible()
