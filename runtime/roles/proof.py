"""Each side proves that it knows the shared token; the token itself never travels.

A proof is HMAC-SHA256 (RFC 2104), keyed with the token's digest, over who proves, the nonce of the other
side, and all that is said along with it (its own nonce among that). The names of the sides keep a proof from
being sent back to who made it, the nonces from being used a second time.
"""

from __future__ import annotations

import hashlib
import hmac
import os

import msgspec

from .messages import Knock, Welcome, encode

NONCE_BYTES = 32


def nonce() -> bytes:
    return os.urandom(NONCE_BYTES)


def prove_knock(token: bytes, knock: Knock, challenge: bytes) -> Knock:
    """The same with its proof.

    Args:
        challenge: nonce of the worker container.
    """
    return msgspec.structs.replace(knock, proof=_knock_proof(token, knock, challenge))


def knock_holds(token: bytes, knock: Knock, challenge: bytes) -> bool:
    return hmac.compare_digest(knock.proof, _knock_proof(token, knock, challenge))


def prove_welcome(token: bytes, welcome: Welcome, knock: Knock) -> Welcome:
    """The same with its proof, as the answer to this knock."""
    return msgspec.structs.replace(welcome, proof=_welcome_proof(token, welcome, knock))


def welcome_holds(token: bytes, welcome: Welcome, knock: Knock) -> bool:
    return hmac.compare_digest(welcome.proof, _welcome_proof(token, welcome, knock))


def _knock_proof(token: bytes, knock: Knock, challenge: bytes) -> bytes:
    said = encode(msgspec.structs.replace(knock, proof=b""))
    return _mac(token, b"tiffin knock\0", challenge, said)


def _welcome_proof(token: bytes, welcome: Welcome, knock: Knock) -> bytes:
    said = encode(msgspec.structs.replace(welcome, proof=b""))
    return _mac(token, b"tiffin welcome\0", knock.proof, knock.nonce, said)


def _mac(token: bytes, *parts: bytes) -> bytes:
    # HMAC fills a short key up with zeros: another token, with zeros at its end, would do as well.
    mac = hmac.new(hashlib.sha256(token).digest(), digestmod="sha256")
    for part in parts:
        mac.update(len(part).to_bytes(4, "little") + part)
    return mac.digest()
