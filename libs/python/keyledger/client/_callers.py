"""Sends operations for programs with and without an event loop."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar, cast

from .._background import each, run
from ._operation import Operation
from ._transport import Transport

Result = TypeVar("Result")
Item = TypeVar("Item")
Page = TypeVar("Page")


class Caller:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def call(self, operation: Operation[Result], /, **arguments: object) -> Result:
        return run(self._transport.call(operation, arguments))

    def listing(self, operation: Operation[Page], /, **arguments: object) -> "Listing[Any, Page]":
        return Listing(self, operation, arguments)

    def lines(self, operation: Operation[str], /, **arguments: object) -> Iterator[str]:
        return each(self._transport.lines(operation, arguments))

    def events(self, operation: Operation[Result], /, **arguments: object) -> Iterator[Result]:
        return each(self._transport.events(operation, arguments))


class AsyncCaller:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def call(self, operation: Operation[Result], /, **arguments: object) -> Result:
        return await self._transport.call(operation, arguments)

    def listing(self, operation: Operation[Page], /, **arguments: object) -> "AsyncListing[Any, Page]":
        return AsyncListing(self, operation, arguments)

    def lines(self, operation: Operation[str], /, **arguments: object) -> AsyncIterator[str]:
        return self._transport.lines(operation, arguments)

    def events(self, operation: Operation[Result], /, **arguments: object) -> AsyncIterator[Result]:
        return self._transport.events(operation, arguments)


class Listing(Generic[Item, Page]):
    """The items of a list. A page is read when its first item is needed."""

    def __init__(self, caller: Caller, operation: Operation[Page], arguments: dict[str, object]) -> None:
        self._caller = caller
        self._operation = operation
        self._arguments = arguments

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from cast(Any, page)["data"]

    def pages(self) -> Iterator[Page]:
        """The pages themselves, as they are in the API: with `next_cursor`, and with `total` where the list has it."""
        arguments: dict[str, object] | None = self._arguments
        while arguments is not None:
            page = self._caller.call(self._operation, **arguments)
            yield page
            arguments = _arguments_after(page, arguments)


class AsyncListing(Generic[Item, Page]):
    """The items of a list. A page is read when its first item is needed."""

    def __init__(self, caller: AsyncCaller, operation: Operation[Page], arguments: dict[str, object]) -> None:
        self._caller = caller
        self._operation = operation
        self._arguments = arguments

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in cast(Any, page)["data"]:
                yield item

    async def pages(self) -> AsyncIterator[Page]:
        """The pages themselves, as they are in the API: with `next_cursor`, and with `total` where the list has it."""
        arguments: dict[str, object] | None = self._arguments
        while arguments is not None:
            page = await self._caller.call(self._operation, **arguments)
            yield page
            arguments = _arguments_after(page, arguments)


def _arguments_after(page: Any, arguments: dict[str, object]) -> dict[str, object] | None:
    """None after the last page."""
    cursor = page.get("next_cursor")
    return None if cursor is None else {**arguments, "cursor": cursor}
