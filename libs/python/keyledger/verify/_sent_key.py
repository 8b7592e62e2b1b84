"""Finds the key that a caller has sent."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .._reserved import CODED_SCHEMES, RESERVED_HEADERS, RESERVED_PREFIXES

Header = Callable[[str], str | None]
"""Returns the value of a header by its name in lower case, with commas between the values of a repeated one."""

# The longest text that Keyledger reads as a key, in characters.
MAX_KEY = 500


@dataclass(frozen=True)
class Place:
    """The one header that holds the key of a request, in lower case."""

    header: str
    scheme: str | None
    """The key is behind this word and a space. If None, it is the whole header."""


BEARER = Place("authorization", "bearer")


@dataclass(frozen=True)
class SentKey:
    text: str

    def __repr__(self) -> str:
        return "SentKey(…)"


@dataclass(frozen=True)
class NoKey:
    code: Literal["invalid_key", "multiple_credentials", "unauthenticated"]
    detail: str | None = None


SEVERAL = NoKey("multiple_credentials")


def checked_place(credential: str) -> Place | None:
    """None for `either`."""
    text = credential.lower() if isinstance(credential, str) else ""
    if text == "either":
        return None
    found = re.fullmatch(r"([a-z0-9]+(?:-[a-z0-9]+)*)(?::([a-z0-9]+(?:-[a-z0-9]+)*))?", text, re.ASCII)
    if found is None or len(credential) > 60 or _is_reserved(found[1]) or found[2] in CODED_SCHEMES:
        raise TypeError(
            "credential must be either, the name of a header that can hold a key, or its name and a scheme such as "
            "authorization:token."
        )
    return Place(found[1], found[2] or ("bearer" if found[1] == "authorization" else None))


def _is_reserved(header: str) -> bool:
    return header in RESERVED_HEADERS or any(f"{header}-".startswith(f"{prefix}-") for prefix in RESERVED_PREFIXES)


def read_sent_key(place: Place | None, header: Header) -> SentKey | NoKey:
    sent = _in_either(header) if place is None else _at(place, header(place.header))
    if isinstance(sent, NoKey):
        return NoKey(sent.code, sent.detail or _describe(place))
    if not sent:
        return NoKey("unauthenticated", _describe(place))
    return NoKey("invalid_key") if len(sent) > MAX_KEY or re.search(r"\s", sent) else SentKey(sent)


def _in_either(header: Header) -> str | NoKey | None:
    """Two headers with the same value are one key. An empty header does not match the other one."""
    plain, bearer = _whole(header("x-api-key")), _behind(BEARER, header("authorization"))
    if isinstance(plain, NoKey) or isinstance(bearer, NoKey):
        return plain if isinstance(plain, NoKey) else bearer
    if plain is not None and bearer is not None and plain != bearer:
        return SEVERAL
    return plain if bearer is None else bearer


def _at(place: Place, value: str | None) -> str | NoKey | None:
    return _whole(value) if place.scheme is None else _behind(place, value)


def _whole(value: str | None) -> str | NoKey | None:
    """A comma is between repeated headers. No key contains one."""
    return SEVERAL if value and "," in value else value


def _behind(place: Place, value: str | None) -> str | NoKey | None:
    if value is None:
        return None
    scheme = place.scheme or ""
    found = re.fullmatch(r"(\S+) +(\S+) *", value)
    if found and found[1].lower() == scheme and "," not in found[2]:
        return found[2]
    if "," in value and value.lower().startswith(scheme):
        return SEVERAL
    return NoKey("unauthenticated", f"{_shown(place.header)} must be {_shown(scheme)}, a space, and one credential")


def _describe(place: Place | None) -> str:
    """The sentence that tells a caller where to send the key."""
    if place is None:
        return "Send an API key in X-API-Key or as Authorization: Bearer"
    if place.scheme is None:
        return f"Send an API key in the header {_shown(place.header)}"
    return f"Send an API key as {_shown(place.header)}: {_shown(place.scheme)}"


def _shown(name: str) -> str:
    """`shop-key` as `Shop-Key`. Neither headers nor schemes distinguish case."""
    return "X-API-Key" if name == "x-api-key" else re.sub(r"(^|-)[a-z]", lambda initial: initial[0].upper(), name)
