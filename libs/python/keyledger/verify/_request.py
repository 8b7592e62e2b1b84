"""What is verified: a request, and what it needs."""

from dataclasses import dataclass
from typing import Any

from ._sent_key import Header

# The texts that describe a request are longer only by mistake or with intent.
MAX_TEXT = 500
MAX_PATH = 2000


@dataclass(frozen=True)
class Requirement:
    """What a request needs.

    Raises TypeError with one sentence if it is not usable: a requirement that is not understood must not let requests pass.
    """

    scopes: list[str] | tuple[str, ...]
    """The key needs all of them. An empty list accepts every good key."""
    cost: int | None = None
    """What the request takes from the rate limits and the credits of the key. The default is 1."""
    project_id: str | None = None
    """The project of the request: a key that is limited to another project is refused."""

    def __post_init__(self) -> None:
        if not (
            isinstance(self.scopes, list | tuple)
            and all(isinstance(scope, str) and scope for scope in self.scopes)
            and (self.cost is None or type(self.cost) is int and self.cost >= 0)
            and (self.project_id is None or isinstance(self.project_id, str) and self.project_id)
        ):
            raise TypeError("A requirement must be Requirement(scopes=['orders:read'], cost=1, project_id='proj_…').")
        object.__setattr__(self, "scopes", tuple(self.scopes))


@dataclass(frozen=True)
class IncomingRequest:
    """The part of a request that Keyledger gets to see."""

    method: str
    path: str
    """The path as it was sent, percent-encoded. A query is never sent to Keyledger."""
    header: Header
    """Returns a header by its name in lower case, such as `headers.get`."""
    ip: str | None = None
    """The address of the caller. Without it, keys with allowed addresses are refused."""


def described(key: str, request: IncomingRequest, need: Requirement) -> dict[str, Any]:
    """The body of the verification."""

    def text(name: str) -> str | None:
        value = request.header(name)
        return None if value is None else value[:MAX_TEXT]

    about = {
        "method": request.method,
        "path": request.path.split("?", 1)[0][:MAX_PATH],
        "ip": request.ip,
        "origin": text("origin"),
        "user_agent": text("user-agent"),
    }
    body = {"key": key, "scopes": need.scopes, "cost": need.cost, "project_id": need.project_id}
    return _without_none({**body, "request": _without_none(about)})


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
