"""Signs job bodies, and tells whether a signature is one of ours."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the first key, accepts any: keys are rotated by putting a new one in front."""

    # Not in the repr: error reports show the variables of frames.
    keys: tuple[bytes, ...] = field(repr=False)
    # One for each key, copied for each message: hmac.digest() begins anew every time, and lets other threads run
    # meanwhile, which in a worker costs several times the signature; update() does so for long messages only.
    _macs: tuple[hmac.HMAC, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_macs", tuple(hmac.new(key, digestmod="sha256") for key in self.keys))

    @classmethod
    def of(cls, secrets: Sequence[str | bytes]) -> Signer:
        """Return a signer whose keys are derived from secrets such as Django's SECRET_KEY and its fallbacks."""
        encoded = (secret.encode() if isinstance(secret, str) else secret for secret in secrets)
        return cls(tuple(sha256(b"django_backie.body" + secret).digest() for secret in encoded))

    def sign(self, message: bytes) -> str:
        """Return the signature of a message as 22 characters."""
        return _signature(self._macs[0], message)

    def accepts(self, message: bytes, signature: str) -> bool:
        """Tell whether any of the keys made this signature, in constant time for each."""
        # compare_digest refuses other text with a TypeError.
        if not signature.isascii():
            return False
        for mac in self._macs:  # noqa: SIM110 - any() would make a generator, for every job
            if hmac.compare_digest(_signature(mac, message), signature):
                return True
        return False


def _signature(mac: hmac.HMAC, message: bytes) -> str:
    mac = mac.copy()
    mac.update(message)
    return urlsafe_b64encode(mac.digest()[:16])[:22].decode()
