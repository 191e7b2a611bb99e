"""An authority and a certificate for a local network, made on this machine; no other machine hears of the keys."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.errors import UsageError

YEARS = timedelta(days=3650)
EARLIER = timedelta(hours=1)
"""Clocks of other machines may be late."""
FILES = {"ca": "ca.pem", "ca_key": "ca-key.pem", "cert": "cert.pem", "key": "key.pem"}


@dataclass(frozen=True, slots=True)
class Made:
    """The files by what they hold, and the names that the certificate is for."""

    files: dict[str, Path]
    names: tuple[str, ...]


def make(folder: Path, names: Sequence[str] = (), *, days: int = 397) -> Made:
    """Make the certificate, and the authority if there is none yet. Raises UsageError for what is no name."""
    if not 1 <= days <= YEARS.days:
        raise UsageError(f"{days} days are not from 1 to {YEARS.days}")
    wanted = tuple(dict.fromkeys((*names, *(() if names else own_names()), "localhost", "127.0.0.1", "::1")))
    alternatives = [_alternative(name) for name in wanted]
    files = {what: folder / name for what, name in FILES.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, signer = _authority(files)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_named(wanted[0][:64]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLIER)
            .not_valid_after(min(now + timedelta(days=days), authority.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        _write(files["key"], _private(key))
        _write(files["cert"], _public(certificate) + _public(authority), mode=0o644)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from None
    return Made(files, wanted)


def own_names() -> list[str]:
    """The name of this machine, and the address by which it reaches others; nothing is sent to find out."""
    found = [socket.gethostname()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a datagram socket only chooses its own address by this
            found.append(probe.getsockname()[0])
        except OSError:
            pass
    return [name for name in found if name]


def _authority(files: dict[str, Path]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if files["ca"].exists() and files["ca_key"].exists():
        known = x509.load_pem_x509_certificate(files["ca"].read_bytes())
        key = serialization.load_pem_private_key(files["ca_key"].read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return known, key
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = _named(f"Hubspoke on {socket.gethostname()}"[:64]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    _write(files["ca_key"], _private(key))
    _write(files["ca"], _public(made), mode=0o644)
    return made, key


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    try:
        plain = name.encode("idna").decode()
        if not plain or len(plain) > 253 or any(not (c.isalnum() or c in ".-*") for c in plain):
            raise ValueError(name)
        return x509.DNSName(plain)
    except (UnicodeError, ValueError):
        raise UsageError(f"{name[:100]!r} is no name and no address", hint="Write hub.lan or 192.168.1.20.") from None


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file whole or not at all; a key never was readable for others."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
