"""An identity provider on loopback: it signs tokens and publishes its keys, or fails to."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

CURVES: Mapping[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}


@cache
def make_key(algorithm: str, number: int = 0, *, bits: int = 2048) -> Any:
    """Return a private key for an algorithm; the same arguments give the same key."""
    del number
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    # Every family of RSA has the same kind of key.
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def make_jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return the public half of a key, as a JWK with these members more."""
    public = key.public_key()
    kind: Any = OKPAlgorithm
    if isinstance(public, rsa.RSAPublicKey):
        kind = RSAAlgorithm
    elif isinstance(public, ec.EllipticCurvePublicKey):
        kind = ECAlgorithm
    found: dict[str, Any] = kind.to_jwk(public, as_dict=True)
    # As providers publish it, without what PyJWT adds.
    found.pop("key_ops", None)
    return found | members


def make_pem(key: Any) -> str:
    """Return the public half of a key in PEM."""
    info = PublicFormat.SubjectPublicKeyInfo
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, info)
    return pem.decode()


def sign(claims: Mapping[str, Any], key: Any, algorithm: str = "RS256", **header: Any) -> str:
    """Return a token that this key signed."""
    # Without the checks of claims: a token of a test may be wrong on purpose.
    content = json.dumps(claims).encode()
    return jwt.PyJWS().encode(content, key, algorithm, headers=header or None)


@dataclass
class Endpoint:
    """One address on loopback, and what it answers next; `asked` has the body of each request."""

    address: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    heard: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request, their names in small letters."""
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """One more for each request that arrived."""
    open: threading.Event = field(default_factory=threading.Event)
    """Clear: requests arrive and are not answered."""

    def publish(self, *keys: dict[str, Any]) -> None:
        """Answer with a JWK Set of these keys from now on."""
        self.status, self.body = 200, json.dumps({"keys": [*keys]}).encode()

    def answer(self, claims: object, status: int = 200) -> None:
        """Answer with this JSON from now on."""
        self.status, self.body = status, json.dumps(claims).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default of 5 is less than the connections that come at once.
    request_queue_size = 128


@contextmanager
def serve_endpoint(tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """Serve an endpoint until the block ends; with `tls`, by https."""
    endpoint = Endpoint()
    endpoint.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.heard.append({name.lower(): text for name, text in self.headers.items()})
            endpoint.asked.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            endpoint.came.release()
            endpoint.open.wait(timeout=30)
            try:
                self.send_response(endpoint.status)
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(endpoint.body)))
                self.end_headers()
                self.wfile.write(endpoint.body)
            except OSError:
                pass  # the other side had enough

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    scheme = "http" if tls is None else "https"
    endpoint.address = f"{scheme}://127.0.0.1:{server.server_address[1]}/keys"
    try:
        yield endpoint
    finally:
        endpoint.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
