"""A bucket of each kind."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from hub.secretfields import split
from tests.proxies import Wire
from tests.resultstores import BUCKET, needed, other_bucket, s3_endpoint, s3_settings

from hub_plugins.storage.objects import Bucket, ObjectSettings

__all__ = ["s3_endpoint"]
_numbers = itertools.count()


@dataclass
class Place:
    """A bucket, as a connection names it, and beside the plugin. `folder` is what no other test writes to."""

    kind: str
    settings: ObjectSettings
    folder: str
    lose: Callable[[str], None]
    """Lose the answer to the next write to a key: it is made, and nobody is told."""

    @property
    def fields(self) -> dict[str, Any]:
        plain, secret = split(self.settings)
        return {name: value for name, value in {**plain, **secret}.items() if value not in ("", None)}

    def put(self, key: str, data: bytes) -> None:
        bucket = Bucket(self.settings)
        bucket.obstore.put(bucket.store, self.folder + key, data)

    def versions(self, key: str) -> tuple[bytes, str]:
        bucket = Bucket(self.settings)
        found = bucket.obstore.get(bucket.store, self.folder + key)
        return bytes(found.bytes()), found.meta["e_tag"]


@pytest.fixture(params=["s3", "azure-blob", "gcs"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    needed("obstore")
    folder = f"t{os.getpid()}-{next(_numbers)}/"
    if request.param == "s3":
        real = urlsplit(request.getfixturevalue("s3_endpoint"))
        wire = Wire((real.hostname or "", real.port or 0))
        settings = s3_settings(f"http://127.0.0.1:{wire.port}")

        def lose(key: str) -> None:
            wire.arm(f"PUT /{BUCKET}/{folder}{key} ".encode(), answered=True)

        yield Place("s3", settings, folder, lose)
        wire.close()
        return
    with other_bucket(request.param) as (server, found):

        def cut(_key: str) -> None:
            server.cut = server.made + 1

        yield Place(request.param, found, folder, cut)
