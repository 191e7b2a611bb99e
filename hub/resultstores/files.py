"""A folder as a result store."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import PermanentError, TransientError
from hub.resultstores import Kept, ResultMissing, ResultStore
from hub.types import new_id

_HOPELESS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "it cannot be written",
    errno.EACCES: "the hub's user may not write there",
    errno.EPERM: "the hub's user may not write there",
    errno.EEXIST: "a part of its path is no folder",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.ENAMETOOLONG: "a key is too long for it",
}


class FileResults:
    """See ResultStore. A key is a path below `folder`; what is being written begins with a dot.

    `made`: the folder is somebody else's to make; while it is not there (a disk that is not mounted), nothing is known
    of what it holds.
    """

    def __init__(self, folder: Path, *, made: bool = False) -> None:
        self._folder = folder
        self._made = made

    def put(self, key: str, data: bytes) -> bool:
        """See ResultStore.put."""
        path = self._path(key)
        with self._told():
            self._make(path.parent)
            part = path.with_name(f".{new_id()}.part")
            try:
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                # A link, not a rename: a result that stands is never replaced.
                os.link(part, path)
            except FileExistsError:
                return False
            finally:
                part.unlink(missing_ok=True)
            _sync(path.parent)
        return True

    def get(self, key: str) -> bytes:
        """See ResultStore.get."""
        with self._told():
            try:
                return self._path(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise ResultMissing(key) from None

    def delete(self, keys: Iterable[str]) -> None:
        """See ResultStore.delete. A folder that is empty then goes as well."""
        with self._told():
            for key in keys:
                path = self._path(key)
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    path.unlink()
                with contextlib.suppress(OSError):  # not empty: something else is there
                    path.parent.rmdir()

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Kept]:
        """See ResultStore.list."""
        with self._told():
            return list(islice(self._walk(self._folder, "", prefix, after), limit))

    def _walk(self, folder: Path, above: str, prefix: str, after: str) -> Iterator[Kept]:
        try:
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except FileNotFoundError:
            return
        # As the keys are ordered: "a/" comes after "a-".
        for entry in sorted(entries, key=lambda entry: f"{entry.name}/" if entry.is_dir() else entry.name):
            key = f"{above}{entry.name}"
            if entry.is_dir():
                below = f"{key}/"
                inside = below.startswith(prefix) or prefix.startswith(below)
                if inside and (after < below or after.startswith(below)):
                    yield from self._walk(folder / entry.name, below, prefix, after)
            elif key.startswith(prefix) and key > after:
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    found = entry.stat()
                    yield Kept(key, found.st_size, found.st_mtime_ns // 1000)

    def _path(self, key: str) -> Path:
        if not key or ".." in key.split("/") or key.startswith("/"):
            raise ResultMissing(key)
        return self._folder / key

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        folder = self._folder
        if self._made and not folder.is_dir():
            raise TransientError(f"{folder}: there is no such folder")
        try:
            yield
        except OSError as error:
            known = _HOPELESS.get(error.errno or 0)
            if known is not None:
                raise PermanentError(f"{folder}: {known}") from None
            raise TransientError(f"{folder}: {error.strerror or type(error).__name__}") from None

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, each safely on the disk."""
        if folder.is_dir():
            return
        if folder != folder.parent:
            self._make(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if TYPE_CHECKING:
    _fits: type[ResultStore] = FileResults
