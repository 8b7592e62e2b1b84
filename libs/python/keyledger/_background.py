"""An event loop in a thread of its own, for programs without one."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Runs it in the background and waits for it. An interrupt of the caller ends it."""
    future = asyncio.run_coroutine_threadsafe(coroutine, _started())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def each(items: AsyncGenerator[Result, None]) -> Iterator[Result]:
    """Yields the items of an asynchronous generator, which runs in the background while it is asked for one."""

    async def read() -> Result:
        return await anext(items)

    async def end() -> None:
        await items.aclose()

    try:
        while True:
            try:
                item = run(read())
            except StopAsyncIteration:
                return
            yield item
    finally:
        # At the end of the process, the thread has ended.
        if not sys.is_finalizing():
            run(end())


def _started() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="keyledger", daemon=True).start()
        return _loop


def _forget() -> None:
    """A process that has been forked has no such thread."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
