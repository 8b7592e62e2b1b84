"""The connections to Keyledger, and why one has failed."""

import asyncio
import errno
import json
import socket
import ssl
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx

Result = TypeVar("Result")


class Connections:
    """Connections belong to the event loop in which they were made, so each loop has its own."""

    def __init__(self) -> None:
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    @property
    def client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = httpx.AsyncClient(
                # The caller limits the time of the whole request.
                timeout=None,
                # Without it, a .netrc could add a credential.
                auth=httpx.Auth(),
                # Servers and proxies end idle connections after 5 seconds or later.
                limits=httpx.Limits(max_connections=None, keepalive_expiry=4),
            )
        return self._clients[loop]

    async def aclose(self) -> None:
        """Closes the connections of this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


async def within(seconds: float, coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Raises TimeoutError after this time.

    The coroutine runs in a task of its own: `asyncio.timeout` fails in a task that old versions of anyio have cancelled.
    """
    task = asyncio.create_task(coroutine)
    # If it fails while it is cancelled, nothing is to be logged.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError
    return task.result()


def is_redirect(status: int) -> bool:
    """No redirect is followed: it could lead the credential and the body to another server."""
    return status in (301, 302, 303, 307, 308)


async def read_bounded(response: httpx.Response, most: int) -> bytes | None:
    """None if it is longer than this number of bytes."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


def parsed(body: bytes | None) -> Any:
    """None if it is not JSON."""
    try:
        return None if body is None else json.loads(body)
    except (ValueError, RecursionError):
        return None


def reason_of(error: BaseException) -> str:
    """Why a request failed. The messages of the errors may quote what was sent or received, and are left out."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return cause.reason
        if isinstance(cause, socket.gaierror):
            return cause.strerror or "ENOTFOUND"
        if isinstance(cause, OSError) and cause.errno in errno.errorcode:
            return errno.errorcode[cause.errno]
    return type(error).__name__
