"""RSA keys as one word: base64 of PKCS #8 for the one who signs, of SubjectPublicKeyInfo for the one who verifies."""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

BITS = 2048


def draw() -> str:
    """A new private key. The library draws it: there is no seed that it would take."""
    key = generate_private_key(public_exponent=65537, key_size=BITS)
    return _word(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@lru_cache(maxsize=32)
def read(word: str) -> RSAPrivateKey:
    """The private key behind *word*; raises `ValueError` saying what is wrong with it."""
    try:
        key = load_der_private_key(base64.b64decode(word, validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise ValueError("a key of this dialect is the base64 of an RSA private key in PKCS #8, in one line") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < BITS:
        raise ValueError(f"a key of this dialect is an RSA private key of at least {BITS} bits")
    return key


@lru_cache(maxsize=32)
def read_public(word: str) -> RSAPublicKey:
    """The public key behind *word*; raises `ValueError` saying what is wrong with it."""
    try:
        key = load_der_public_key(base64.b64decode(word, validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise ValueError("it must be the base64 of an RSA public key (SubjectPublicKeyInfo), in one line") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < BITS:
        raise ValueError(f"it must be an RSA public key of at least {BITS} bits")
    return key


def is_signed(key: RSAPublicKey, signature: str, content: bytes, digest: HashAlgorithm) -> bool:
    """Whether *signature*, in base64, is that key's over *content*."""
    try:
        key.verify(base64.b64decode(signature, validate=True), content, padding.PKCS1v15(), digest)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def public(key: RSAPrivateKey) -> str:
    """What verifies what *key* signs."""
    return _word(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def sign(key: RSAPrivateKey, content: bytes, digest: HashAlgorithm) -> bytes:
    """PKCS #1 v1.5, in base64."""
    return base64.b64encode(key.sign(content, padding.PKCS1v15(), digest))


def _word(der: bytes) -> str:
    return base64.b64encode(der).decode()
