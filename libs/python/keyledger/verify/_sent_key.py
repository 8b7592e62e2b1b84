"""Finds the key that a caller has sent."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Header = Callable[[str], str | None]
"""Returns the value of a header by its name in lower case."""

# The longest text that Keyledger reads as a key, in characters.
MAX_LENGTH = 500


@dataclass(frozen=True)
class SentKey:
    key: str

    def __repr__(self) -> str:
        return "SentKey(…)"


@dataclass(frozen=True)
class NoKey:
    problem: Literal["invalid_key", "multiple_credentials", "unauthenticated"]


def read_sent_key(place: str, header: Header) -> SentKey | NoKey:
    sent = set(_values_at(place, header))
    if len(sent) > 1:
        return NoKey("multiple_credentials")
    if not sent:
        return NoKey("unauthenticated")
    key = sent.pop()
    return NoKey("invalid_key") if len(key) > MAX_LENGTH or re.search(r"\s", key) else SentKey(key)


def _values_at(place: str, header: Header) -> list[str]:
    if place == "either":
        values = [header("x-api-key"), _bearer(header)]
    else:
        values = [_bearer(header) if place == "authorization" else header(place)]
    return [value for value in values if value]


def _bearer(header: Header) -> str | None:
    found = re.fullmatch(r"bearer +(\S+)", (header("authorization") or "").strip(), re.IGNORECASE)
    return found[1] if found else None


def describe_place(place: str) -> str:
    """The sentence that tells a caller where to send the key."""
    if place == "either":
        return "Send an API key in X-API-Key or as Authorization: Bearer"
    if place.lower() == "authorization":
        return "Send an API key as Authorization: Bearer"
    return f"Send an API key in the header {place}"
