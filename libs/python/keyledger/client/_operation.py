"""An operation of the API, and the request and the response of a call."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx

from .._settings import is_header_value
from ._errors import SecretInAddress
from ._secrets import holds_secret

Result = TypeVar("Result")


class NotGiven:
    """The type of an argument that is left out. None is the null of JSON."""

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()


@dataclass(frozen=True)
class Operation(Generic[Result]):
    method: str
    path: str
    """With `{name}` for parameters. `{*name}` stands for the rest of the path, slashes included."""
    shape: Any
    """The type of the response."""
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Fields that only the first response to a repeated call has."""
    has_body: bool = False
    """The arguments that are neither in the path nor in the query or the headers are in the body."""
    is_signed: bool = False
    """The argument `content` is the body."""
    is_idempotent: bool = False
    """A call with an idempotency key may be repeated."""


@dataclass(frozen=True)
class Request:
    method: str
    address: str
    """The path and the query."""
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)

    @property
    def is_repeatable(self) -> bool:
        """Whether the server does the same when the request comes twice."""
        return self.method in ("GET", "DELETE") or "idempotency-key" in self.headers


@dataclass(frozen=True)
class Received:
    status: int
    headers: httpx.Headers
    body: bytes | None = None
    """None if it is too long, or not read yet."""
    unread: httpx.Response | None = None


def request_of(operation: Operation[Any], arguments: Mapping[str, object]) -> Request:
    """Raises ValueError for an argument that cannot be sent, and SecretInAddress."""
    given = {name: value for name, value in arguments.items() if value is not NOT_GIVEN}
    path = re.sub(r"\{(\*?)(\w+)\}", lambda found: _segment(found[1], found[2], given.pop(found[2])), operation.path)
    query = {_name(name): _text(name, given.pop(name)) for name in operation.query if name in given}
    headers = {name.replace("_", "-"): _header(name, given.pop(name)) for name in operation.headers if name in given}
    if operation.is_idempotent:
        headers.setdefault("idempotency-key", str(uuid.uuid4()))
    address = f"{path}?{urlencode(query)}" if query else path
    if holds_secret(address):
        raise SecretInAddress
    return Request(operation.method, address, headers, _content(operation, given))


def _name(argument: str) -> str:
    """`from_` stands for `from`, which is a word of Python."""
    return argument.removesuffix("_")


def _segment(star: str, name: str, value: object) -> str:
    """No part of a path may lead to another one."""
    text = _text(name, value)
    parts = text.split("/") if star else [text]
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name} does not name an object.")
    return "/".join(quote(part, safe="") for part in parts)


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"{name} must be a text or a number. Leave it out if there is none.")


def _header(name: str, value: object) -> str:
    if is_header_value(value):
        return str(value)
    raise ValueError(f"{name} must be one word of printable ASCII.")


def _content(operation: Operation[Any], given: Mapping[str, object]) -> bytes | None:
    if operation.is_signed:
        if isinstance(given["content"], bytes):
            return given["content"]
        raise ValueError("content must be bytes.")
    if not operation.has_body:
        return None
    return json.dumps({_name(name): value for name, value in given.items()}, allow_nan=False).encode()
