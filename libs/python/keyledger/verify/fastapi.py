"""Lets requests to an API with FastAPI pass if Keyledger accepts their keys."""

from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import Accepted, AsyncVerifier, Caller, Decision, IncomingRequest, Rejected, Requirement

__all__ = ["AsyncVerifier", "Caller", "KeyRejected", "caller_of", "install", "require_key", "verify_request"]

# Where a request keeps the decision about its key.
ACCEPTED = "keyledger.accepted"


class KeyRejected(HTTPException):
    """Ends a request that must not pass. `install` makes it the response that `rejected` describes."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.status, rejected.detail, dict(rejected.headers))
        self.rejected = rejected


def install(app: FastAPI) -> None:
    """Makes an app respond to rejected keys with problem details, and tell callers their rate limits."""
    app.add_exception_handler(KeyRejected, _respond)
    app.add_middleware(_RateLimitHeaders)


def require_key(
    verifier: AsyncVerifier,
    *,
    scopes: list[str] | tuple[str, ...],
    cost: int | None = None,
    project_id: str | None = None,
) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that lets a request pass if Keyledger accepts its key, and returns the key.

    The address of the caller is `request.client`: behind a proxy, start uvicorn with `--proxy-headers`.
    """
    requirement = Requirement(scopes, cost, project_id)

    async def check(request: Request) -> Caller:
        decision = await verify_request(verifier, request, requirement)
        if isinstance(decision, Rejected):
            raise KeyRejected(decision)
        return decision.caller

    return check


async def verify_request(verifier: AsyncVerifier, request: Request, requirement: Requirement) -> Decision:
    """Decides about a request, for those who raise an exception of their own."""
    incoming = IncomingRequest(request.method, _path_of(request), _header_of(request), _address_of(request))
    decision = await verifier.verify(incoming, requirement)
    if isinstance(decision, Accepted):
        request.scope[ACCEPTED] = decision
    return decision


def caller_of(request: Request) -> Caller:
    """The key of a request that has passed."""
    accepted = request.scope.get(ACCEPTED)
    if accepted is None:
        raise RuntimeError("This request was not verified: put require_key of keyledger.verify before its handler.")
    return cast(Accepted, accepted).caller


def _path_of(request: Request) -> str:
    raw: bytes | None = request.scope.get("raw_path")
    return quote(request.scope["path"]) if raw is None else raw.decode("latin-1")


def _header_of(request: Request) -> Callable[[str], str | None]:
    # Two different keys are no key.
    return lambda name: ", ".join(request.headers.getlist(name)) or None


def _address_of(request: Request) -> str | None:
    return request.client.host if request.client else None


async def _respond(_: Request, error: Exception) -> Response:
    rejected = cast(KeyRejected, error).rejected
    return Response(rejected.body, rejected.status, dict(rejected.headers))


class _RateLimitHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and ACCEPTED in scope:
                MutableHeaders(scope=message).update(scope[ACCEPTED].headers)
            await send(message)

        await self.app(scope, receive, send_with_headers)
