"""What flows do with objects: S3 against moto, Azure and Google against servers that refuse what is not signed."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas
import polars
import pyarrow
import pytest
from hub import flow
from hub.errors import PermanentError, TransientError, UsageError
from hub.plugins import load_plugins
from hub.settings import load_settings
from hub.testing import harness
from hub.testing.kit import Hub
from pydantic import SecretStr

from hub_plugins.storage import tasks as storage
from hub_plugins.storage.objects import check

from .conftest import Place


@pytest.fixture
def kit(place: Place) -> Iterator[Hub]:
    with harness() as made:
        made.connect(place.kind, "storage", **place.fields)
        yield made


def test_objects_are_written_read_listed_copied_and_deleted(kit: Hub, place: Place, tmp_path: Path) -> None:
    at, large = place.folder, tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 24_000)  # more than one part

    @flow
    def whole() -> Any:
        first = storage.put(f"{at}a b/ü.txt", "tea", content_type="text/plain")
        storage.put(f"{at}a b/data.json", '{"n": 1}')
        assert storage.get_text(first["key"]) == "tea"
        assert storage.get_json(f"{at}a b/data.json") == {"n": 1}
        storage.copy(first["key"], f"{at}copy.txt")
        storage.upload(str(large), f"{at}large")
        assert storage.download(f"{at}large", str(tmp_path / "back"))["size"] == large.stat().st_size
        listed = storage.list_objects(f"{at}a")
        storage.delete([f"{at}copy.txt", f"{at}none"])
        storage.delete(f"{at}none")
        return [one["key"] for one in listed], storage.list_objects(at), first

    below, left, first = whole()
    assert below == [f"{at}a b/data.json", f"{at}a b/ü.txt"]
    assert [one["key"] for one in left] == [*below, f"{at}large"]
    assert [one["size"] for one in left] == [8, 3, large.stat().st_size]
    assert first["modified"].endswith("Z")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "large"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_write_whose_answer_was_lost_is_found_by_the_next_try(kit: Hub, place: Place, overwrite: bool) -> None:
    @flow
    def whole() -> Any:
        place.lose("once")
        return storage.put(f"{place.folder}once", b"x", overwrite=overwrite)

    found = whole()
    assert kit.run(whole).tasks[0].attempt == 2
    assert place.versions("once")[0] == b"x"
    if place.kind != "s3":  # moto's entity tags are those of the content
        assert found["etag"].strip('"') == "0x00000001", "no second version was written"


def test_an_address_for_others_reads_or_writes_one_object(kit: Hub, place: Place) -> None:
    place.put("shared.txt", b"tea")

    @flow
    def links() -> Any:
        put = storage.presign(f"{place.folder}theirs.txt", "PUT", expires_in=60)
        return storage.presign(f"{place.folder}shared.txt", expires_in=60), put

    read, write = links()
    assert urllib.request.urlopen(read, timeout=10).read() == b"tea"
    headers = {"content-type": "text/plain", **({"x-ms-blob-type": "BlockBlob"} if place.kind == "azure-blob" else {})}
    urllib.request.urlopen(urllib.request.Request(write, data=b"cake", method="PUT", headers=headers), timeout=10)
    assert place.versions("theirs.txt")[0] == b"cake"
    if place.kind != "s3":  # moto looks at no signature
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(read.replace("shared", "secret"), timeout=10)


def test_data_frames_go_in_and_come_out(kit: Hub, place: Place) -> None:
    rows = [{"id": 1, "price": 3.5}, {"id": 2, "price": None}]
    frames = [rows, pandas.DataFrame(rows), polars.DataFrame(rows), pyarrow.Table.from_pylist(rows)]

    @flow
    def whole() -> None:
        endings = ("parquet", "arrow", "csv") if place.kind == "s3" else ("parquet",)  # to others, bytes are bytes
        for frame, ending in product(frames, endings):
            key = f"{place.folder}{uuid4()}.{ending}"
            storage.write_frame.fn(frame, key)
            assert storage.read_frame.fn(key)["price"].sum() == 3.5
            assert storage.read_frame.fn(key, library="polars")["id"].to_list() == [1, 2]
            assert storage.read_frame.fn(key, library="arrow", columns=["price"]).to_pylist()[1] == {"price": None}

    whole()


WRONG: dict[str, tuple[Callable[[str], Any], type[Exception], str]] = {
    "nothing there": (lambda at: storage.get(f"{at}none"), FileNotFoundError, "has no object"),
    "nothing to copy": (lambda at: storage.copy(f"{at}none", f"{at}to"), FileNotFoundError, "has no object"),
    "nothing to download": (lambda at: storage.download(f"{at}none", "/tmp/x"), FileNotFoundError, "has no object"),
    "something there": (lambda at: storage.put(f"{at}there", b"y", overwrite=False), FileExistsError, "is there"),
    "too large": (lambda at: storage.get(f"{at}there", limit=1), UsageError, "has 2 bytes, at most 1"),
    "no JSON": (lambda at: storage.get_json(f"{at}there"), PermanentError, "is no JSON"),
    "no key": (lambda at: storage.get(f"{at}../x"), UsageError, "is no key"),
    "no format": (lambda at: storage.read_frame(f"{at}there"), UsageError, "does not say which format"),
    "no table": (lambda at: storage.read_frame(f"{at}there", format="parquet"), PermanentError, "is no parquet"),
    "no frame": (lambda at: storage.write_frame(3, f"{at}x.csv"), UsageError, "a int is no table"),
    "too long": (lambda at: storage.presign(f"{at}x", expires_in=10**6), UsageError, "is no time"),
    "another kind": (lambda at: storage.get(f"{at}x", connection="files"), UsageError, "of the kind files, not s3"),
}


def test_what_cannot_work_says_why_at_once(kit: Hub, place: Place) -> None:
    kit.connect("files", "files", path="/tmp")
    place.put("there", b"[x")

    @flow
    def fails(name: str) -> None:
        WRONG[name][0](place.folder)

    for name, (_, kind, told) in WRONG.items():
        with pytest.raises(kind, match=told):
            fails(name)
        assert kit.runs(fails)[-1].tasks[0].attempt == 1, name
    assert place.versions("there")[0] == b"[x"


def test_a_connection_is_checked_and_keeps_its_secret(place: Place) -> None:
    assert "can be read" in check(place.settings)
    away = {"endpoint": "http://127.0.0.1:9/acme", "timeout": 2.0}
    with pytest.raises(TransientError, match="does not answer"):
        check(place.settings.model_copy(update=away))
    if place.kind == "azure-blob":
        with pytest.raises(PermanentError, match="AuthenticationFailed") as refused:
            check(place.settings.model_copy(update={"account_key": SecretStr("Y2FuYXJ5LXdyb25n")}))
        assert "Y2FuYXJ5" not in str(refused.value)
    if place.kind == "gcs":
        with pytest.raises(PermanentError, match="is no JSON") as refused:
            check(place.settings.model_copy(update={"service_account_key": SecretStr("canary")}))
        assert "canary" not in str(refused.value)


def test_the_plugin_brings_its_actions() -> None:
    names = {"put", "get", "get_text", "get_json", "list", "copy", "delete", "presign", "upload", "download"}
    found = load_plugins(load_settings(), process="worker").hooks.actions()
    assert {name for name in found if name.startswith("storage.")} == {f"storage.{name}" for name in names}
