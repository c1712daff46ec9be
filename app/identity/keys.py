"""Public keys, from PEM and from JWK Sets: which key may verify which algorithm."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
# Below it a key can be broken; beyond it, a signature takes too long to verify.
RSA_BITS_LEAST = 2048
RSA_BITS_MOST = 8192
# A token without `kid` is tried with each: 50 take about 2 ms.
KEYS_MOST = 50

_PEM_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----.*?-----END (?P=label)-----", re.DOTALL
)
_KINDS: Mapping[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey


class VerifyingKey(NamedTuple):
    """A public key, and the only algorithms with which it is ever used."""

    key: PublicKey
    algorithms: frozenset[str]
    kid: str | None = None


class Candidates(NamedTuple):
    """The keys that may have signed a token."""

    keys: Sequence[VerifyingKey]
    are_named: bool
    """Whether the token's `kid` names them: then no other key can have signed it."""


def find_candidates(keys: Iterable[VerifyingKey], algorithm: str, kid: str | None) -> Candidates:
    """Return the keys of the algorithm's kind that the token may mean.

    Those that `kid` names; if there are none, those that have no name, or all if the token names
    none.
    """
    fitting = [key for key in keys if algorithm in key.algorithms]
    named = [key for key in fitting if key.kid is not None and key.kid == kid]
    if named:
        return Candidates(named, are_named=True)
    return Candidates([key for key in fitting if kid is None or key.kid is None], are_named=False)


def read_pem(text: str) -> list[VerifyingKey]:
    r"""Return the public keys of a text in PEM, in which a line may also end with a literal `\n`.

    Public keys and certificates, one or several. Raises ValueError, whose message goes on after the
    name of the setting.
    """
    blocks = list(_PEM_BLOCK.finditer(text.replace("\\n", "\n")))
    if not blocks:
        raise ValueError(" holds no PEM: it has no line -----BEGIN PUBLIC KEY-----.")
    return [_read_block(block["label"], block[0].encode()) for block in blocks]


def _read_block(label: str, block: bytes) -> VerifyingKey:
    if "PRIVATE" in label:
        raise ValueError(" holds a private key, which only the host may have: give the public one.")
    try:
        if label == "CERTIFICATE":
            key: object = x509.load_pem_x509_certificate(block).public_key()
        else:
            key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f" holds a {label} that cannot be read.") from None
    try:
        return _make_key(key)
    except ValueError as error:
        raise ValueError(f" holds a key that cannot be used: {error}") from None


def read_jwk_set(document: bytes) -> tuple[VerifyingKey, ...]:
    """Return the keys of a JWK Set (RFC 7517) that may verify a signature; the others are left out.

    Left out are keys for encryption, secrets, private keys and what is not known here. Raises
    ValueError where the document is no JWK Set, has more than 50 keys, or none that can be used.
    """
    try:
        found = json.loads(document)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it has no list `keys`")  # noqa: TRY004 - bad content, no bad call
    if len(entries) > KEYS_MOST:
        raise ValueError(f"it has more than {KEYS_MOST} keys")
    keys = tuple(key for entry in entries if (key := _read_jwk(entry)) is not None)
    if not keys:
        raise ValueError("it has no key that can verify a signature")
    return keys


def _read_jwk(jwk: Any) -> VerifyingKey | None:  # noqa: ANN401 - any JSON
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    operations, kind = jwk.get("key_ops", ["verify"]), jwk.get("kty")
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    # A secret must not be published, and a published private key proves nothing.
    if not isinstance(kind, str) or kind not in _KINDS or "d" in jwk:
        return None
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str | None):
        return None
    try:
        found = _make_key(_KINDS[kind].from_jwk(jwk))
    except (PyJWTError, ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        return None
    algorithms = found.algorithms if algorithm is None else found.algorithms & {str(algorithm)}
    return found._replace(algorithms=algorithms, kid=kid) if algorithms else None


def _make_key(key: object) -> VerifyingKey:
    """Return the key with its algorithms; raise ValueError where it has none."""
    if isinstance(key, RSAPublicKey):
        if not RSA_BITS_LEAST <= key.key_size <= RSA_BITS_MOST:
            raise ValueError(
                f"an RSA key has {RSA_BITS_LEAST} to {RSA_BITS_MOST} bits, not {key.key_size}."
            )
        return VerifyingKey(key, frozenset(RSA_ALGORITHMS))
    if isinstance(key, EllipticCurvePublicKey):
        if key.curve.name not in EC_ALGORITHMS:
            raise ValueError(f"the curve {key.curve.name} belongs to no algorithm known here.")
        return VerifyingKey(key, frozenset({EC_ALGORITHMS[key.curve.name]}))
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return VerifyingKey(key, frozenset({"EdDSA"}))
    raise ValueError(f"a {type(key).__name__} signs no token.")
