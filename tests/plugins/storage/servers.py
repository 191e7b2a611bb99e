"""Azure Blob Storage and Google Cloud Storage as far as objects go, each refusing what is not signed as it documents.

Azure's paths begin with the account, as azurite's do; what these tests ask of it was compared with azurite 3.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests import vendors
from tests.vendors import Answer

ACCOUNT = "acme"
KEY = base64.b64encode(b"azure-canary-key-of-the-account!" * 2).decode()
CONTAINER = "results-test"
SIGNER = "hub@example.iam.gserviceaccount.com"


@dataclass
class Blob:
    data: bytes
    kind: str
    meta: dict[str, str]
    number: int
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def etag(self) -> str:
        return f'"0x{self.number:08X}"'


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Objects:
    """One container. `cut` says after which PUT the answer is lost: the object is there, and nobody is told."""

    meta = "x-ms-meta-"

    def __init__(self) -> None:
        self.url = ""
        self.blobs: dict[str, Blob] = {}
        self.parts: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.kept: list[str] = []
        self.made = 0
        self.cut: int | None = None

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(f"{asked.method} {asked.path}")
        refusal = self.refusal(asked)
        return refusal or self.do(asked)

    def refusal(self, asked: Asked) -> Answer | None:
        raise NotImplementedError

    def do(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def error(self, status: int, code: str) -> Answer:
        return Answer(status, {"content-type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode())

    def keep(self, name: str, data: bytes, headers: dict[str, str], kind: str) -> Blob:
        self.made += 1
        self.kept.append(name)
        meta = {k.removeprefix(self.meta): v for k, v in headers.items() if k.startswith(self.meta)}
        self.blobs[name] = Blob(data, kind, meta, self.made)
        return self.blobs[name]

    def shown(self, blob: Blob, *, head: bool) -> Answer:
        headers = {
            "etag": blob.etag, "last-modified": format_datetime(blob.at, usegmt=True), "content-type": blob.kind,
            "content-length": str(len(blob.data)), **{self.meta + name: value for name, value in blob.meta.items()},
        }  # fmt: skip
        return Answer(200, headers, b"" if head else blob.data)

    def under(self, asked: Asked, after: str) -> list[tuple[str, Blob]]:
        prefix = asked.query.get("prefix", "")
        return [(name, one) for name, one in sorted(self.blobs.items()) if name.startswith(prefix) and name > after]


class Azure(Objects):
    """Shared Key and service SAS of 2023-11-03."""

    def refusal(self, asked: Asked) -> Answer | None:
        if "sig" in asked.query:
            good = hmac.compare_digest(asked.query["sig"], self._sas(asked))
            late = asked.query["se"] < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            method = {"r": "GET", "cw": "PUT", "c": "PUT", "w": "PUT"}.get(asked.query["sp"])
            return None if good and not late and method == asked.method else self.error(403, "AuthenticationFailed")
        said = asked.headers.get("authorization", "")
        good = hmac.compare_digest(said, f"SharedKey {ACCOUNT}:{self._signed(self._shared(asked))}")
        return None if good else self.error(403, "AuthenticationFailed")

    def _signed(self, text: str) -> str:
        return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")).decode()

    def _shared(self, asked: Asked) -> str:
        length = asked.headers.get("content-length", "")
        names = ("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")
        lines = [
            asked.method, asked.headers.get("content-encoding", ""), asked.headers.get("content-language", ""),
            "" if length == "0" else length, asked.headers.get("content-md5", ""),
            asked.headers.get("content-type", ""), asked.headers.get("date", ""),
            *(asked.headers.get(name, "") for name in names),
        ]  # fmt: skip
        ours = sorted((name, value) for name, value in asked.headers.items() if name.startswith("x-ms-"))
        lines += [f"{name}:{value}" for name, value in ours]
        lines += [f"/{ACCOUNT}{asked.path}", *sorted(f"{name.lower()}:{value}" for name, value in asked.query.items())]
        return "\n".join(lines)

    def _sas(self, asked: Asked) -> str:
        given = asked.query
        resource = f"/blob{unquote(asked.path)}"
        return self._signed(
            "\n".join(
                [given["sp"], given["st"], given["se"], resource, "", "", "", given["sv"], given["sr"], *[""] * 7]
            )
        )

    def do(self, asked: Asked) -> Answer:
        found = re.fullmatch(rf"/{ACCOUNT}/([^/]+)(?:/(.+))?", asked.path)
        if found is None or found[1] != CONTAINER:
            return self.error(404, "ContainerNotFound")
        if found[2] is None:
            return self._batch(asked) if asked.query.get("comp") == "batch" else self._list(asked)
        name = unquote(found[2])
        if asked.method == "PUT":
            return self._put(asked, name)
        if name not in self.blobs:
            return self.error(404, "BlobNotFound")
        if asked.method == "DELETE":
            del self.blobs[name]
            return Answer(202)
        return self.shown(self.blobs[name], head=asked.method == "HEAD")

    def _put(self, asked: Asked, name: str) -> Answer:
        kind = asked.headers.get("x-ms-blob-content-type", "application/octet-stream")
        if asked.query.get("comp") == "block":
            self.parts[asked.query["blockid"]] = asked.body
            return Answer(201)
        if asked.query.get("comp") == "blocklist":
            data = b"".join(self.parts.pop(one) for one in re.findall(r"<\w+>([^<]+)</\w+>", asked.body.decode()))
            return Answer(201, {"etag": self.keep(name, data, asked.headers, kind).etag})
        if asked.headers.get("if-none-match") == "*" and name in self.blobs:
            return self.error(409, "BlobAlreadyExists")
        source = asked.headers.get("x-ms-copy-source")
        if source is not None:
            other = self.blobs.get(unquote(urlsplit(source).path.removeprefix(f"/{ACCOUNT}/{CONTAINER}/")))
            if other is None:
                return self.error(404, "BlobNotFound")
            made = self.keep(name, other.data, {self.meta + k: v for k, v in other.meta.items()}, other.kind)
            return Answer(202, {"etag": made.etag, "x-ms-copy-status": "success"})
        if asked.headers.get("x-ms-blob-type") != "BlockBlob":
            return self.error(400, "MissingRequiredHeader")
        return Answer(201, {"etag": self.keep(name, asked.body, asked.headers, kind).etag})

    def _list(self, asked: Asked) -> Answer:
        rows = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{format_datetime(one.at, usegmt=True)}"
            f"</Last-Modified><Etag>{one.etag.strip(chr(34))}</Etag><Content-Length>{len(one.data)}</Content-Length>"
            f"<Content-Type>{one.kind}</Content-Type></Properties></Blob>"
            for name, one in self.under(asked, "")
            if name >= asked.query.get("startFrom", "")
        )
        text = f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker/></EnumerationResults>"
        return Answer(200, {"content-type": "application/xml"}, text.encode())

    def _batch(self, asked: Asked) -> Answer:
        parts = []
        for number, path in enumerate(re.findall(rb"DELETE (\S+) HTTP", asked.body)):
            name = unquote(path.decode().removeprefix(f"/{ACCOUNT}/{CONTAINER}/"))
            said = "202 Accepted" if self.blobs.pop(name, None) else "404 The specified blob does not exist."
            code = "" if said.startswith("202") else "x-ms-error-code: BlobNotFound\r\n"
            parts.append(
                f"--batchresponse_1\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
                f"HTTP/1.1 {said}\r\n{code}x-ms-version: 2023-11-03\r\n\r\n"
            )
        headers = {"content-type": "multipart/mixed; boundary=batchresponse_1"}
        return Answer(202, headers, ("".join(parts) + "--batchresponse_1--").encode())


class Gcs(Objects):
    """The XML API, for a service account that signs its own tokens and addresses."""

    meta = "x-goog-meta-"

    def __init__(self) -> None:
        super().__init__()
        self.private = rsa.generate_private_key(65_537, 2_048)

    @property
    def credential(self) -> str:
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return json.dumps(
            {"type": "service_account", "client_email": SIGNER, "private_key": pem, "private_key_id": "gcs-canary-1"}
        )

    def refusal(self, asked: Asked) -> Answer | None:
        try:
            (self._presigned if "X-Goog-Signature" in asked.query else self._token)(asked)
        except (InvalidSignature, KeyError, ValueError):
            return self.error(403, "SignatureDoesNotMatch")
        return None

    def _verify(self, signature: bytes, signed: bytes) -> None:
        self.private.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())

    def _token(self, asked: Asked) -> None:
        head, claims, signature = asked.headers["authorization"].removeprefix("Bearer ").split(".")
        self._verify(base64.urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode())
        said = json.loads(base64.urlsafe_b64decode(claims + "=="))
        if said["iss"] != SIGNER or not said["iat"] - 5 <= datetime.now(UTC).timestamp() < said["exp"]:
            raise ValueError("claims")

    def _presigned(self, asked: Asked) -> None:
        others = sorted((k, v) for k, v in asked.query.items() if k != "X-Goog-Signature")
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in others)
        lines = [asked.method, asked.path, query, "host:storage.googleapis.com", "", "host", "UNSIGNED-PAYLOAD"]
        # obstore signs for Google's own host, whatever the endpoint is.
        day = asked.query["X-Goog-Date"]
        begun = datetime.strptime(day, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if (datetime.now(UTC) - begun).total_seconds() > int(asked.query["X-Goog-Expires"]):
            raise ValueError("late")
        scope = asked.query["X-Goog-Credential"].removeprefix(f"{SIGNER}/")
        text = ["GOOG4-RSA-SHA256", day, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()]
        self._verify(bytes.fromhex(asked.query["X-Goog-Signature"]), "\n".join(text).encode())

    def do(self, asked: Asked) -> Answer:
        found = re.fullmatch(r"/([^/]+)(?:/(.+))?", asked.path)
        if found is None or unquote(found[1]) != CONTAINER:
            return self.error(404, "NoSuchBucket")
        if found[2] is None:
            return self._list(asked)
        name = unquote(found[2])
        if asked.method == "POST" or "uploadId" in asked.query:
            return self._upload(asked, name)
        if asked.method == "PUT":
            return self._put(asked, name)
        if name not in self.blobs:
            return self.error(404, "NoSuchKey")
        if asked.method == "DELETE":
            del self.blobs[name]
            return Answer(204)
        shown = self.shown(self.blobs[name], head=asked.method == "HEAD")
        return Answer(200, {**shown.headers, "x-goog-generation": str(self.blobs[name].number)}, shown.body)

    def _put(self, asked: Asked, name: str) -> Answer:
        if asked.headers.get("x-goog-if-generation-match") == "0" and name in self.blobs:
            return self.error(412, "PreconditionFailed")
        source, data, kind = asked.headers.get("x-goog-copy-source"), asked.body, asked.headers.get("content-type", "")
        if source is not None:
            other = self.blobs.get(unquote(unquote(source)).removeprefix(f"{CONTAINER}/"))
            if other is None:
                return self.error(404, "NoSuchKey")
            data, kind = other.data, other.kind
        made = self.keep(name, data, asked.headers, kind)
        return Answer(200, {"etag": made.etag, "x-goog-generation": str(made.number)})

    def _upload(self, asked: Asked, name: str) -> Answer:
        if "uploads" in asked.query:
            self.parts["headers"] = json.dumps(asked.headers).encode()
            text = f"<InitiateMultipartUploadResult><UploadId>up{self.made}</UploadId></InitiateMultipartUploadResult>"
            return Answer(200, {"content-type": "application/xml"}, text.encode())
        if asked.method == "PUT":
            self.parts[asked.query["partNumber"]] = asked.body
            return Answer(200, {"etag": f'"part{asked.query["partNumber"]}"'})
        numbers = re.findall(r"<PartNumber>(\d+)</PartNumber>", asked.body.decode())
        headers = json.loads(self.parts.pop("headers"))
        made = self.keep(name, b"".join(self.parts.pop(one) for one in numbers), headers, "")
        text = f"<CompleteMultipartUploadResult><ETag>{made.etag}</ETag></CompleteMultipartUploadResult>"
        return Answer(200, {"content-type": "application/xml", "x-goog-generation": str(made.number)}, text.encode())

    def _list(self, asked: Asked) -> Answer:
        rows = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>{one.at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"
            f"</LastModified><ETag>{escape(one.etag)}</ETag><Size>{len(one.data)}</Size></Contents>"
            for name, one in self.under(asked, asked.query.get("start-after", ""))
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        return Answer(200, {"content-type": "application/xml"}, text.encode())


@contextmanager
def serving(objects: Objects) -> Iterator[None]:
    """Serve on a free port; its address is then `objects.url`."""

    def answer(asked: vendors.Asked) -> vendors.Answer | None:
        query = dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True))
        said = objects.answer(Asked(asked.method, asked.path, query, asked.headers, asked.body))
        lost = asked.method == "PUT" and said.status < 300 and objects.cut == objects.made
        objects.cut = None if lost else objects.cut
        return None if lost else said

    with vendors.serving(answer) as objects.url:
        yield
