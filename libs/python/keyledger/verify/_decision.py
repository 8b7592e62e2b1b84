"""What a verification decides."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .._problems import PROBLEMS
from ..types import RateLimitStatus, VerificationApiKey

Caller = VerificationApiKey
"""The key of a request. `organization_id` is its owner, and `project_id` the project that it is limited to."""


@dataclass(frozen=True)
class Accepted:
    caller: Caller
    headers: Mapping[str, str]
    """`RateLimit` and `RateLimit-Policy` for the response, if the key has rate limits."""
    valid: Literal[True] = True


@dataclass(frozen=True)
class Rejected:
    """A response for a caller whose request must not pass: problem details (RFC 9457)."""

    code: str
    """For programs: a problem code of Keyledger, or `verification_unavailable`."""
    status: int
    detail: str
    """For people."""
    headers: Mapping[str, str]
    body: str
    """JSON."""
    valid: Literal[False] = False


Decision = Accepted | Rejected


def rejected(
    code: str,
    realm: str,
    *,
    detail: str | None = None,
    scopes: Iterable[str] = (),
    retry_after: int | None = None,
    rate_limits: list[RateLimitStatus] | None = None,
) -> Rejected:
    """The status of each code comes from Keyledger's contract, and the challenge from RFC 6750."""
    status, title = PROBLEMS[code]
    headers = rate_limit_headers(rate_limits)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return _rejected(code, status, title, detail or title, headers | _challenge(code, status, realm, scopes))


def unavailable(retry_after: str) -> Rejected:
    """The key can be neither accepted nor rejected: Keyledger has not said what it is."""
    detail = "Your API key cannot be verified at the moment; try again"
    title = "The verification of API keys is unavailable"
    return _rejected("verification_unavailable", 503, title, detail, {"retry-after": retry_after})


def rate_limit_headers(limits: list[RateLimitStatus] | None) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-11: the limits and their status."""
    if limits is None:
        return {}
    return {
        "ratelimit-policy": ", ".join(f'"{one["name"]}";q={one["limit"]};w={one["window_seconds"]}' for one in limits),
        "ratelimit": ", ".join(f'"{one["name"]}";r={one["remaining"]};t={one["reset_seconds"]}' for one in limits),
    }


def _challenge(code: str, status: int, realm: str, scopes: Iterable[str]) -> dict[str, str]:
    bearer = f'Bearer realm="{realm}"'
    if code == "unauthenticated":
        return {"www-authenticate": bearer}
    if code == "insufficient_scope":
        return {"www-authenticate": f'{bearer}, error="insufficient_scope", scope="{" ".join(scopes)}"'}
    return {"www-authenticate": f'{bearer}, error="invalid_token"'} if status == 401 else {}


def _rejected(code: str, status: int, title: str, detail: str, headers: dict[str, str]) -> Rejected:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    body = json.dumps(problem, ensure_ascii=False, separators=(",", ":"))
    headers = {**headers, "content-type": "application/problem+json", "cache-control": "no-store"}
    return Rejected(code, status, detail, headers, body)
