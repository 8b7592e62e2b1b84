import json
import logging
import re
from collections.abc import Callable
from typing import Any, cast

import httpx

from .._background import run
from .._connections import Connections, is_redirect, parsed, read_bounded, reason_of, within
from .._settings import checked_base, is_header_value
from .._shapes import conforms
from ..types import Verification
from ._decision import Accepted, Decision, Rejected, rate_limit_headers, rejected, unavailable
from ._request import IncomingRequest, Requirement, described
from ._sent_key import NoKey, checked_place, read_sent_key

# The response to a verification has less than 10,000 bytes.
MAX_RESPONSE = 100_000

NOT_OURS = "the response is not one of Keyledger"


class Unavailable(Exception):
    """Why a verification failed, in words that hold no secret."""

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(f"Keyledger cannot verify: {reason}")
        self.retry_after = retry_after


def log_reason(error: Exception) -> None:
    logging.getLogger("keyledger").error("%s", error)


class _BaseVerifier:
    """Asks Keyledger about the key of each request to your API, and records the use.

    base_url: where Keyledger is, such as `https://keys.example.com`.
    api_key: a key of Keyledger with the scope `deployment:verify`, or `api-keys:verify` for the keys of one organization.
    credential: where the callers of your API send their keys: `either` X-API-Key or Authorization: Bearer,
        `authorization`, the name of another header, which has the key as its whole value, or a header and a scheme,
        such as `authorization:token`.
    timeout: the longest that a request waits for its verification, in seconds.
    realm: the name of your API in `WWW-Authenticate`.
    on_unavailable: is called with the reason why a verification failed, without secrets. By default it is an error
        in the log `keyledger`.

    Raises TypeError with one sentence if an option is not usable.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        credential: str = "either",
        timeout: float = 5,
        realm: str = "api",
        on_unavailable: Callable[[Exception], object] = log_reason,
    ) -> None:
        self._url = f"{checked_base(base_url)}/api/v1/api-keys/verify"
        if not is_header_value(api_key):
            raise TypeError("api_key must be a key of Keyledger with the scope deployment:verify or api-keys:verify.")
        self._headers = {"content-type": "application/json", "x-api-key": api_key, "accept-encoding": "identity"}
        self._place = checked_place(credential)
        self._timeout = timeout
        self._realm = realm
        self._on_unavailable = on_unavailable
        self._connections = Connections()

    def _question(self, request: IncomingRequest, need: Requirement) -> bytes | Rejected:
        """What to ask Keyledger, or the decision if nothing need be asked."""
        if not isinstance(need, Requirement):
            raise Unavailable("the requirement is not a Requirement")
        sent = read_sent_key(self._place, request.header)
        if isinstance(sent, NoKey):
            return rejected(sent.code, self._realm, detail=sent.detail)
        return json.dumps(described(sent.text, request, need)).encode()

    async def _ask(self, question: bytes) -> Verification:
        try:
            return await within(self._timeout, self._send(question))
        except TimeoutError:
            raise Unavailable(f"no response within {self._timeout:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(reason_of(error)) from None

    async def _send(self, question: bytes) -> Verification:
        client = self._connections.client
        async with client.stream("POST", self._url, content=question, headers=self._headers) as response:
            if is_redirect(response.status_code):
                raise Unavailable("unexpected redirect")
            value = parsed(await read_bounded(response, MAX_RESPONSE))
            if not response.is_success:
                raise Unavailable(_reason_of_response(response.status_code, value), response.headers.get("retry-after"))
        if not conforms(value, Verification):
            raise Unavailable(NOT_OURS)
        return cast(Verification, value)

    def _decide(self, verification: Verification, need: Requirement) -> Decision:
        code, caller, limits = verification["code"], verification["api_key"], verification.get("rate_limits")
        if code == "valid":
            if caller is None:
                raise Unavailable(NOT_OURS)
            return Accepted(caller, rate_limit_headers(limits))
        detail = verification["detail"]
        return rejected(
            code,
            self._realm,
            detail=f"{detail}: it needs {', '.join(need.scopes)}" if code == "insufficient_scope" else detail,
            scopes=need.scopes,
            retry_after=verification.get("retry_after"),
            rate_limits=limits,
        )

    def _fail(self, error: Exception) -> Rejected:
        known = error if isinstance(error, Unavailable) else Unavailable(type(error).__name__)
        try:
            self._on_unavailable(known)
        except Exception:
            # A log that fails is no reason to leave the caller without a response.
            pass
        return unavailable(known.retry_after or "1")


class AsyncVerifier(_BaseVerifier):
    __doc__ = _BaseVerifier.__doc__

    async def verify(self, request: IncomingRequest, requirement: Requirement) -> Decision:
        """Decides about a request, and records the use of the key.

        Raises nothing: a request that cannot be verified is refused with 503. Nothing is repeated, because a use would
        count twice.
        """
        try:
            question = self._question(request, requirement)
            return question if isinstance(question, Rejected) else self._decide(await self._ask(question), requirement)
        except Exception as error:
            return self._fail(error)

    async def aclose(self) -> None:
        """Closes the connections of this event loop. The next request opens others."""
        await self._connections.aclose()


class Verifier(_BaseVerifier):
    __doc__ = _BaseVerifier.__doc__

    def verify(self, request: IncomingRequest, requirement: Requirement) -> Decision:
        """As `verify` of `AsyncVerifier`, for programs without an event loop."""
        try:
            question = self._question(request, requirement)
            return question if isinstance(question, Rejected) else self._decide(run(self._ask(question)), requirement)
        except Exception as error:
            return self._fail(error)


def _reason_of_response(status: int, value: Any) -> str:
    code = value.get("code") if isinstance(value, dict) else None
    known = f" {code}" if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,50}", code) else ""
    reason = f"it responded with {status}{known}"
    if status == 401:
        return f"{reason}: check the key of your service"
    if status == 404:
        return f"{reason}: check base_url"
    if status == 403:
        return f"{reason}: the key of your service needs the scope deployment:verify or api-keys:verify"
    return reason
