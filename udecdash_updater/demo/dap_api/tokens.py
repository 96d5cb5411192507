"""Tokens that expire and addresses that are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from urllib.parse import parse_qs, urlsplit


class Signer:
    """Signs with a key of its own: a restarted server knows none of what it gave out before."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def token(self, client: str, seconds: int) -> str:
        """A JWT for `client`."""
        claims = {"sub": client, "exp": int(time.time()) + seconds}
        parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signed = ".".join(parts)
        return f"{signed}.{self._signature(signed)}"

    def client(self, token: str) -> str | None:
        """The client whose token that is; None when it is not ours or has expired."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims = json.loads(_decoded(signed.partition(".")[2]))
        return str(claims["sub"]) if claims["exp"] > time.time() else None

    def address(self, path: str, seconds: int) -> str:
        """`path` with an end and a signature."""
        dated = f"{path}?expires={int(time.time()) + seconds}"
        return f"{dated}&signature={self._signature(dated)}"

    def holds(self, address: str) -> bool:
        """Whether `address` was signed here and has not expired."""
        dated, _, signature = address.rpartition("&signature=")
        if not hmac.compare_digest(signature.encode(), self._signature(dated).encode()):
            return False
        return int(parse_qs(urlsplit(dated).query)["expires"][0]) > time.time()

    def _signature(self, text: str) -> str:
        return _encoded(hmac.digest(self._key, text.encode(), hashlib.sha256))


def basic(header: str) -> str:
    """What an Authorization header of the kind Basic holds, as user:password; '' when it is none."""
    kind, _, encoded = header.partition(" ")
    try:
        return base64.b64decode(encoded, validate=True).decode() if kind == "Basic" else ""
    except ValueError:
        return ""


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
