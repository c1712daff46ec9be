"""Other services are asked over TLS, and only those that prove who they are."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.fetching import Answer, FetchError, fetch, open_client
from tests.support.identity_provider import Endpoint, make_key, serve_endpoint


def make_certificate(folder: Path, address: str) -> Path:
    """Return a file with a certificate of our own for an address, and its key."""
    key, now = make_key("ES256"), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"{address}.pem"
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    return path


@pytest.fixture(params=["127.0.0.1", "127.0.0.2"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, Endpoint]]:
    """Serve an endpoint on 127.0.0.1 with a certificate for one of two addresses."""
    path = make_certificate(tmp_path, request.param)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with serve_endpoint(context) as endpoint:
        yield request.param, path, endpoint


def ask(endpoint: Endpoint) -> Answer:
    """Return what the endpoint answers."""

    async def tell() -> Answer:
        async with await open_client() as client:
            return await fetch(client, endpoint.address, seconds=5, bytes_most=100)

    return asyncio.run(tell())


def test_an_unknown_certificate_is_refused(served: tuple[str, Path, Endpoint]) -> None:
    """Anyone on the way can make a certificate: it counts if an authority signed it."""
    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(served[2])


def test_an_authority_of_the_host_is_trusted(
    served: tuple[str, Path, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SSL_CERT_FILE, a certificate of the company's own is good for the address it names."""
    address, path, endpoint = served
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    if address == "127.0.0.1":
        assert ask(endpoint) == Answer(200, b"{}")
        return
    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(endpoint)
