"""A bucket of S3 or Google Cloud Storage, or a container of Azure Blob Storage, through obstore.

obstore starts threads, so it is imported when a bucket is opened: in the process that uses it, never before a fork.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias, TypeVar

from hub.errors import PermanentError, TransientError
from hub.secretfields import scrubbed

from hub_plugins.storage.settings import S3, AzureBlob, Gcs

ObjectSettings: TypeAlias = S3 | AzureBlob | Gcs
T = TypeVar("T")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"\b(4\d\d|5\d\d)\b")
_REFUSED = frozenset(
    {
        # of S3, which Google speaks, too
        "AccessDenied", "AccountProblem", "AllAccessDisabled", "EntityTooLarge", "ExpiredToken", "InvalidAccessKeyId",
        "InvalidBucketName", "InvalidToken", "NoSuchBucket", "PermanentRedirect", "QuotaExceeded",
        "SignatureDoesNotMatch", "TokenRefreshRequired",
        # of Azure
        "AccountIsDisabled", "AuthenticationFailed", "AuthorizationFailure", "ContainerNotFound",
        "InsufficientAccountPermissions", "InvalidAuthenticationInfo",
        # what some say without a code
        "400", "401", "403", "405", "411", "413",
    }
)  # fmt: skip
"""Answers that no retry changes."""


class MissingError(Exception):
    """There is no such object."""


class StandsError(Exception):
    """There is an object already, or it is not the one that was meant."""


class Bucket:
    """A bucket, opened. `store` and `obstore` are for calls within `told`.

    obstore tries what fails up to `retries` times again: a write whose answer was lost is then a second write.
    """

    def __init__(self, settings: ObjectSettings, *, retries: int = 2) -> None:
        self.settings = settings
        self.obstore = _Interruptible(_library())
        with self.told():
            self.store = _open(self.obstore, settings, retries)

    @contextmanager
    def told(self, key: str = "") -> Iterator[None]:
        """Say in our words what obstore says: MissingError, StandsError, PermanentError, TransientError."""
        errors, where = self.obstore.exceptions, self.settings.where
        try:
            yield
        except (FileNotFoundError, errors.NotFoundError) as error:
            if self._code(error) in ("NoSuchBucket", "ContainerNotFound"):
                raise PermanentError(f"there is no {where}") from None
            raise MissingError(key) from None
        except (FileExistsError, errors.AlreadyExistsError, errors.PreconditionError):
            raise StandsError(key) from None
        except (PermissionError, errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise PermanentError(f"{self.settings.service} refuses the credential ({self._code(error)})") from None
        except (errors.BaseError, OSError, ValueError) as error:
            raise self._judged(error) from None
        except BaseException as error:
            # What obstore cannot make a request of: a panic of Rust's, no Exception, which would end an upkeep loop.
            if type(error).__name__ != "PanicException":
                raise
            raise PermanentError("no request can be made of its settings: endpoint, region or access key") from None

    def _judged(self, error: BaseException) -> TransientError | PermanentError:
        code, service = self._code(error), self.settings.service
        if code in ("NoSuchBucket", "ContainerNotFound"):
            return PermanentError(f"there is no {self.settings.where}")
        if code in _REFUSED:
            return PermanentError(f"{service} refuses: {code}")
        if code:
            return TransientError(f"{service} answers {code}")
        first = scrubbed(str(error).strip().split("\n", 1)[0], self.settings)
        # What the service sent may hold anything: only our own words go on.
        return TransientError(f"{service} does not answer" if "error sending request" in str(error) else first[:200])

    def _code(self, error: BaseException) -> str:
        found = _CODE.search(str(error))
        status = _STATUS.search(str(error))
        return found[1] if found else status[1] if status else ""

    def listed(self, prefix: str, *, offset: str | None = None, at_once: int = 1000) -> Iterator[Any]:
        """What obstore says of each object whose key begins with the prefix, in chunks, in the keys' order."""
        # Only whole parts of a path can be asked for.
        folder = prefix.rpartition("/")[0] or None
        with self.told():
            stream = iter(self.obstore.list(self.store, prefix=folder, offset=offset, chunk_size=at_once))
            while (chunk := interruptibly(lambda: next(stream, None))) is not None:
                yield from (meta for meta in chunk if meta["path"].startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Let keys go; those that are not there do not matter."""
        names = list(keys)
        for at in range(0, len(names), 1000):
            try:
                with self.told():
                    self.obstore.delete(self.store, names[at : at + 1000])
            except MissingError:
                self._delete_each(names[at : at + 1000])

    def _delete_each(self, names: list[str]) -> None:
        """One that is missing may have kept others from being deleted."""
        for name in names:
            try:
                with self.told():
                    self.obstore.delete(self.store, name)
            except MissingError:
                continue


def check(settings: ObjectSettings) -> str:
    """Whether the bucket can be listed."""
    prefix = settings.prefix.strip("/")
    found = next(Bucket(settings).listed(f"{prefix}/" if prefix else "", at_once=1), None)
    return f"{settings.where} can be read" + ("" if found else "; nothing is kept there yet")


def interruptibly(call: Callable[[], T]) -> T:
    """Call beside the main thread, which can then be told to stop: what waits outside of Python hears nothing.

    What is left behind so ends by its time limit.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - raised below
            failure.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="object storage", daemon=True).start()
    done.wait()
    if failure:
        raise failure[0]
    return outcome[0]


class _Interruptible:
    """The functions of obstore, each called so that its caller can be interrupted."""

    def __init__(self, obstore: Any) -> None:
        self._obstore = obstore

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._obstore, name)
        if name in ("exceptions", "store"):
            return found
        return lambda *args, **kwargs: interruptibly(partial(found, *args, **kwargs))


def _library() -> Any:
    try:
        obstore = import_module("obstore")
        import_module("obstore.exceptions")
        import_module("obstore.store")
    except ModuleNotFoundError:
        raise PermanentError("it needs the package obstore: pip install 'hubspoke[s3]'") from None
    return obstore


def _open(obstore: Any, settings: ObjectSettings, retries: int) -> Any:
    given: dict[str, Any] = {
        "client_options": {"timeout": timedelta(seconds=settings.timeout), "connect_timeout": timedelta(seconds=10)},
        "retry_config": {"max_retries": retries, "retry_timeout": timedelta(seconds=settings.timeout)},
    }  # fmt: skip
    if settings.endpoint:
        given["client_options"]["allow_http"] = settings.endpoint.startswith("http://")
    if isinstance(settings, S3):
        return obstore.store.S3Store(**given, **_s3(settings))
    if isinstance(settings, AzureBlob):
        return obstore.store.AzureStore(**given, **_azure(settings))
    return obstore.store.GCSStore(**given, **_gcs(settings))


def _s3(settings: S3) -> dict[str, Any]:
    given: dict[str, Any] = {"bucket": settings.bucket, "region": settings.region}
    if settings.endpoint:
        given |= {"endpoint": settings.endpoint, "virtual_hosted_style_request": False}
    if settings.access_key_id:
        given["access_key_id"] = settings.access_key_id
    return given | _secrets(settings, secret_access_key="secret_access_key", session_token="session_token")  # noqa: S106


def _azure(settings: AzureBlob) -> dict[str, Any]:
    given: dict[str, Any] = {"container_name": settings.container, "account_name": settings.account}
    if settings.endpoint:
        given["endpoint"] = settings.endpoint
    return given | _secrets(settings, account_key="account_key", sas_token="sas_key")  # noqa: S106 - names


def _gcs(settings: Gcs) -> dict[str, Any]:
    given: dict[str, Any] = {"bucket": settings.bucket}
    if settings.endpoint:
        given["base_url"] = settings.endpoint
    found = _secrets(settings, service_account_key="service_account_key")
    if found:
        try:
            json.loads(found["service_account_key"])
        except ValueError:
            raise PermanentError("the service account's key is no JSON: give the whole file as it is") from None
    return given | found


def _secrets(settings: ObjectSettings, **names: str) -> dict[str, str]:
    values = {theirs: getattr(settings, ours) for ours, theirs in names.items()}
    return {name: value.get_secret_value() for name, value in values.items() if value is not None}
