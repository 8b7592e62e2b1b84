"""Sends the calls of the client, and reads their responses."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar, cast

import httpx

from .. import types
from .._connections import Connections, is_redirect, parsed, read_bounded, reason_of, within
from .._settings import checked_base, is_header_value
from .._shapes import conforms
from ._errors import ApiError, KeyledgerError, LostSecrets, NoResponse, UnexpectedRedirect, UnexpectedResponse
from ._operation import Operation, Received, Request, request_of
from ._retries import RATE_LIMITED, pause_after, seconds_asked

Result = TypeVar("Result")

# Longer than any page of a list.
MAX_RESPONSE = 16_000_000
# Far more than one event of the audit log takes.
MAX_LINE = 1_000_000
# The server sends a heartbeat every 15 seconds.
LONGEST_SILENCE = 45


class Tagged(dict[str, Any]):
    """The object in a response, with its ETag."""

    entity_tag: str | None = None


def entity_tag_of(result: object) -> str | None:
    """The ETag of an object that a call has returned, for `if_match`."""
    return result.entity_tag if isinstance(result, Tagged) else None


class Transport:
    def __init__(
        self, *, base_url: str, api_key: str | None, access_token: str | None, timeout: float, retries: int
    ) -> None:
        self._base = checked_base(base_url)
        self._origin = _origin_of(self._base) or self._base
        self._headers = {"accept-encoding": "identity"}
        if api_key is not None:
            self._headers["x-api-key"] = _credential("api_key", api_key)
        if access_token is not None:
            self._headers["authorization"] = f"Bearer {_credential('access_token', access_token)}"
        if not isinstance(timeout, int | float) or not timeout > 0:
            raise TypeError("timeout must be a number of seconds above 0.")
        if not isinstance(retries, int) or retries < 0:
            raise TypeError("retries must be a whole number from 0 on.")
        self._timeout = timeout
        self._retries = retries
        self._connections = Connections()

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def call(self, operation: Operation[Result], arguments: Mapping[str, object]) -> Result:
        received = await self._send(operation, arguments, is_stream=False)
        return cast(Result, _result_of(operation, received))

    async def lines(self, operation: Operation[Any], arguments: Mapping[str, object]) -> AsyncGenerator[str, None]:
        """The lines of a text that may never end, each with its end."""
        received = await self._send(operation, arguments, is_stream=True)
        rest = b""
        async with aclosing(self._parts(received)) as parts:
            async for part in parts:
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield _decoded(line + b"\n", received.status)
                if len(rest) > MAX_LINE:
                    raise UnexpectedResponse(received.status)
        if rest:
            yield _decoded(rest, received.status)

    async def events(self, operation: Operation[Any], arguments: Mapping[str, object]) -> AsyncGenerator[Any, None]:
        """The data of server-sent events (WHATWG HTML, section 9.2.6), each in one line of JSON."""
        async with aclosing(self.lines(operation, arguments)) as lines:
            async for line in lines:
                if line.startswith("data:"):
                    event = parsed(line.removeprefix("data:").encode())
                    if not conforms(event, operation.shape):
                        raise UnexpectedResponse(200)
                    yield event

    async def _parts(self, received: Received) -> AsyncGenerator[bytes, None]:
        response = cast(httpx.Response, received.unread)
        parts = response.aiter_bytes()

        async def read() -> bytes | None:
            return await anext(parts, None)

        try:
            while isinstance(part := await self._outcome(LONGEST_SILENCE, read()), bytes):
                yield part
        finally:
            await response.aclose()
        if isinstance(part, NoResponse):
            raise part

    async def _send(self, operation: Operation[Any], arguments: Mapping[str, object], is_stream: bool) -> Received:
        """Returns a success. Repeats the request if that is safe."""
        request = request_of(operation, arguments)
        may_have_worked = False
        for attempt in range(1, self._retries + 2):
            outcome = await self._outcome(self._timeout, self._exchange(request, is_stream))
            received = None if isinstance(outcome, NoResponse) else outcome
            pause = pause_after(attempt, request, received)
            if pause is None or attempt > self._retries:
                break
            may_have_worked = may_have_worked or received is None or received.status != RATE_LIMITED
            await asyncio.sleep(pause)
        if isinstance(outcome, NoResponse):
            raise outcome
        # An attempt whose response was lost has deleted it.
        is_gone = request.method == "DELETE" and operation.shape is None and outcome.status == 404
        if 200 <= outcome.status < 300 or (is_gone and may_have_worked):
            return outcome
        if is_redirect(outcome.status):
            raise UnexpectedRedirect(self._origin, _origin_of(outcome.headers.get("location", "")))
        raise _error_of(outcome)

    async def _outcome(self, seconds: float, coroutine: Coroutine[Any, Any, Result]) -> Result | NoResponse:
        """Returns the error instead of raising it: raised here, it would hold the request and its credential."""
        try:
            return await within(seconds, coroutine)
        except TimeoutError:
            return NoResponse(self._origin, f"no response within {seconds:g} s")
        except (httpx.HTTPError, OSError) as error:
            return NoResponse(self._origin, reason_of(error))

    async def _exchange(self, request: Request, is_stream: bool) -> Received:
        headers = {**request.headers, **self._headers}
        if request.content is not None:
            headers["content-type"] = "application/json"
        # Made without the client, which would add the cookies of earlier responses.
        sent = httpx.Request(request.method, self._base + request.address, headers=headers, content=request.content)
        response = await self._connections.client.send(sent, stream=True)
        if is_stream and response.is_success:
            return Received(response.status_code, response.headers, unread=response)
        try:
            body = await read_bounded(response, MAX_RESPONSE)
        finally:
            await response.aclose()
        return Received(response.status_code, response.headers, body)


def _origin_of(address: str) -> str | None:
    """The scheme, host and port. None if there is no host."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return None
    return f"{url.scheme}://{url.netloc.decode('ascii')}" if url.host else None


def _credential(name: str, text: str) -> str:
    if is_header_value(text):
        return text
    raise TypeError(f"{name} must be one word without spaces.")


def _result_of(operation: Operation[Any], received: Received) -> object:
    if operation.shape is None:
        return None
    if received.body is None:
        raise UnexpectedResponse(received.status)
    if operation.shape is bytes:
        return received.body
    if operation.shape is str:
        return _decoded(received.body, received.status)
    value = parsed(received.body)
    is_replayed = "idempotent-replayed" in received.headers and isinstance(value, dict)
    expected = dict.fromkeys(operation.secrets, "") | value if is_replayed else value
    if not conforms(expected, operation.shape):
        raise UnexpectedResponse(received.status)
    if is_replayed and operation.secrets:
        raise LostSecrets(value)
    return _tagged(value, received.headers.get("etag")) if isinstance(value, dict) else value


def _tagged(value: dict[str, Any], entity_tag: str | None) -> Tagged:
    result = Tagged(value)
    result.entity_tag = entity_tag
    return result


def _error_of(received: Received) -> KeyledgerError:
    problem = parsed(received.body)
    if not conforms(problem, types.Problem):
        return UnexpectedResponse(received.status)
    return ApiError(cast(types.Problem, problem), seconds_asked(received.headers))


def _decoded(text: bytes, status: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        pass
    # The other error would quote the text.
    raise UnexpectedResponse(status)
