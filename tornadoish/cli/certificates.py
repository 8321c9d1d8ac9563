"""The certificate and its key, as settings name them: loaded, or told in one line why not."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from tornadoish.cli.errors import CONFIGURATION, CommandError
from tornadoish.cli.settings import Settings
from tornadoish.netutil import CertificateStore

# What OpenSSL says of a key of another certificate, or of another kind.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


def load_certificates(settings: Settings) -> CertificateStore | None:
    """What TLS needs; None where there is to be none.

    :raises CommandError: a file cannot be read, or they do not belong together.
    """
    if settings.tls_cert is None:
        return None
    options: dict[str, Any] = {
        "certfile": settings.tls_cert,
        "keyfile": settings.tls_key,
        "alpn_protocols": ["http/1.1"],
    }
    if settings.tls_client_ca:
        options["ca_certs"] = settings.tls_client_ca
        options["cert_reqs"] = ssl.CERT_REQUIRED
    try:
        if settings.tls_password_file:
            options["password"] = Path(settings.tls_password_file).read_bytes().rstrip(b"\r\n")
        return CertificateStore(options)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise CommandError(why_not(error, settings), CONFIGURATION) from None


def _unreadable(settings: Settings) -> str:
    """Which file cannot be read, and why: OpenSSL does not tell. Empty: all can be."""
    for option, path in (
        ("--tls-cert", settings.tls_cert),
        ("--tls-key", settings.tls_key),
        ("--tls-client-ca", settings.tls_client_ca),
        ("--tls-password-file", settings.tls_password_file),
    ):
        try:
            if path is not None:
                Path(path).read_bytes()
        except OSError as error:
            return f"{option} {path}: {error.strerror}"
    return ""


def why_not(error: Exception, settings: Settings) -> str:
    """What OpenSSL has to say, in words, with the files that it is about."""
    unreadable = _unreadable(settings)
    if unreadable:
        return unreadable
    cert, key = settings.tls_cert, settings.tls_key
    reason = getattr(error, "reason", "") or ""
    if _holds(str(key or cert), "ENCRYPTED"):
        if settings.tls_password_file:
            return f"the password in {settings.tls_password_file} is not that of the key"
        return f"the key in {key or cert} has a password: name its file by --tls-password-file"
    if settings.tls_client_ca and not _holds(settings.tls_client_ca, "CERTIFICATE-----"):
        return f"--tls-client-ca {settings.tls_client_ca} holds no certificate in PEM"
    if not _holds(str(cert), "CERTIFICATE-----"):
        return f"--tls-cert {cert} holds no certificate in PEM"
    if not _holds(str(key or cert), "PRIVATE KEY-----"):
        where = f"--tls-key {key} holds" if key else f"--tls-cert {cert} holds"
        return f"{where} no private key in PEM" + ("" if key else ": name its file by --tls-key")
    if reason in _MISMATCHES:
        return f"the key in {key or cert} is not that of the certificate in {cert}"
    return f"the certificate in {cert} and its key cannot be used: {reason or error}"


def _holds(path: str, word: str) -> bool:
    """Whether a word of PEM stands in a file."""
    return word.encode() in Path(path).read_bytes()
