"""Lets requests to an API with Flask pass if Keyledger accepts their keys."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import quote

from flask import Response, after_this_request, current_app, g, request

from . import Accepted, Caller, Decision, IncomingRequest, Rejected, Requirement, Verifier

__all__ = ["Caller", "Verifier", "current_caller", "require_key", "verify_request"]

View = TypeVar("View", bound=Callable[..., Any])


def require_key(
    verifier: Verifier,
    *,
    scopes: list[str] | tuple[str, ...],
    cost: int | None = None,
    project_id: str | None = None,
) -> Callable[[View], View]:
    """Lets a request pass to the view if Keyledger accepts its key. Put it below the route.

    The address of the caller is `request.remote_addr`: behind a proxy, use `ProxyFix` of Werkzeug.
    """
    requirement = Requirement(scopes, cost, project_id)

    def decorate(view: View) -> View:
        @wraps(view)
        def check(*args: Any, **kwargs: Any) -> Any:
            decision = verify_request(verifier, requirement)
            if isinstance(decision, Rejected):
                return Response(decision.body, decision.status, dict(decision.headers))
            return current_app.ensure_sync(view)(*args, **kwargs)

        return cast(View, check)

    return decorate


def verify_request(verifier: Verifier, requirement: Requirement) -> Decision:
    """Decides about the current request, for those who respond in a way of their own."""
    path = quote(request.root_path + request.path)
    incoming = IncomingRequest(request.method, path, request.headers.get, request.remote_addr or None)
    decision = verifier.verify(incoming, requirement)
    if isinstance(decision, Accepted):
        g.keyledger_caller = decision.caller
        headers = decision.headers

        def tell_rate_limits(response: Response) -> Response:
            response.headers.update(headers)
            return response

        after_this_request(tell_rate_limits)
    return decision


def current_caller() -> Caller:
    """The key of the current request, which has passed."""
    if "keyledger_caller" not in g:
        raise RuntimeError("This request was not verified: put require_key of keyledger.verify before its view.")
    return cast(Caller, g.keyledger_caller)
