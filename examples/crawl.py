"""Crawl a site politely: so many pages a second, so many at once, and no page twice, whatever is killed.

    hub limits create crawl --rate 20/1s --slots 4       # for all crawls together, on every worker; without it no limit
    hub run examples/crawl.py:crawl -p start=http://127.0.0.1:8000/
    hub deploy examples/crawl.py:crawl --name crawl
    hub deployments run crawl -p start=http://127.0.0.1:8000/ --wait

A site that answers 429 or 503 is asked again when it says so (Retry-After). A killed crawl goes on on another worker:
pages that were fetched are in its journal and are not asked for again.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen

from hub import concurrency, create_table_artifact, flow, get_run_logger, task

LARGEST = 2_000_000


class Links(HTMLParser):
    """The links and the title of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.title, self._in_title = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title"
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.title += data.strip() if self._in_title else ""

    def handle_endtag(self, tag: str) -> None:
        self._in_title = self._in_title and tag != "title"


@task(
    task_run_name="fetch {url}",
    retries=4, retry_delay_seconds=[1, 5, 20], retry_on=("rate_limited", "infrastructure", "timeout"),
)  # fmt: skip
def fetch(url: str) -> dict[str, Any]:
    """A page's title and where it leads to, or that it is gone. Other HTTP errors raise; Retry-After is kept to."""
    with concurrency("crawl", strict=False):
        request = Request(url, headers={"User-Agent": "hubspoke-example"})
        try:
            with urlopen(request, timeout=20) as response:
                text = response.read(LARGEST).decode(errors="replace")
        except HTTPError as error:
            error.close()  # the error is kept for a later look, its connection is not
            if error.code in (404, 410):
                return {"url": url, "title": "(gone)", "links": []}
            raise
    page = Links()
    page.feed(text)
    return {"url": url, "title": page.title, "links": [urldefrag(urljoin(url, link)).url for link in page.found]}


@flow
def crawl(start: str, most: int = 1000) -> dict[str, str]:
    """The titles of all pages of a site that links lead to, level by level."""
    site = urlsplit(start).netloc
    titles: dict[str, str] = {}
    level, seen = [start], {start}
    while level:
        pages = [future.result(raise_on_failure=False) for future in fetch.map(level)]
        found = [page for page in pages if isinstance(page, dict)]
        titles |= {page["url"]: page["title"] for page in found}
        get_run_logger().info("%d pages, %d of this level could not be read", len(titles), len(level) - len(found))
        # In order, so that a new attempt takes the same pages.
        links = dict.fromkeys(link for page in found for link in page["links"] if urlsplit(link).netloc == site)
        level = [link for link in links if link not in seen][: most - len(seen)]
        seen.update(level)
    create_table_artifact([{"url": url, "title": title} for url, title in titles.items()], key="pages")
    if not titles:
        raise ConnectionError(f"nothing of {start} could be read")
    return titles
