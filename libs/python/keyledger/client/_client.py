from types import TracebackType

from .._background import run
from ._callers import AsyncCaller, Caller
from ._operations import AsyncOperations, Operations
from ._transport import Transport

DESCRIPTION = """A client for the whole API of Keyledger: `keyledger.api_keys.create(name="Production")`.

It has a method for each operation. It repeats calls that were rate-limited, and those that are safe to repeat if the
server is away; calls that create something are safe by an idempotency key.

base_url: where Keyledger is, such as `https://keys.example.com`.
api_key: a key of Keyledger.
access_token: of a user, instead of a key.
timeout: the longest that one attempt may take, in seconds.
retries: how often a call is repeated at most.

Raises TypeError with one sentence if an option is not usable. The methods raise `KeyledgerError`: `ApiError` if the
server rejects the call, `NoResponse` if it cannot be reached, `UnexpectedResponse` and `UnexpectedRedirect` if what
responds is not Keyledger, `LostSecrets`, and `SecretInAddress`.
"""


class Keyledger(Operations):
    __doc__ = DESCRIPTION

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None = None,
        access_token: str | None = None,
        timeout: float = 30,
        retries: int = 2,
    ) -> None:
        self._transport = Transport(
            base_url=base_url, api_key=api_key, access_token=access_token, timeout=timeout, retries=retries
        )
        super().__init__(Caller(self._transport))

    def __enter__(self) -> "Keyledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The next call opens others."""
        run(self._transport.aclose())


class AsyncKeyledger(AsyncOperations):
    __doc__ = DESCRIPTION

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None = None,
        access_token: str | None = None,
        timeout: float = 30,
        retries: int = 2,
    ) -> None:
        self._transport = Transport(
            base_url=base_url, api_key=api_key, access_token=access_token, timeout=timeout, retries=retries
        )
        super().__init__(AsyncCaller(self._transport))

    async def __aenter__(self) -> "AsyncKeyledger":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections of this event loop. The next call opens others."""
        await self._transport.aclose()
