"""Makes each call on standard input by both clients, and prints their outcomes.

In an address, `CLIENT` stands for `sync` and `async`.
"""

import asyncio
import itertools
import json
import sys
import traceback

from keyledger.client import AsyncKeyledger, AsyncListing, Keyledger, KeyledgerError, Listing, entity_tag_of

MOST = 1000


def call(keyledger, case):
    result = method_of(keyledger, case)(*case.get("args", []), **kwargs_of(case))
    if case.get("pages"):
        return list(result.pages())
    if isinstance(result, Listing) or hasattr(result, "__next__"):
        return list(itertools.islice(result, case.get("most", MOST)))
    return result


async def call_async(keyledger, case):
    result = method_of(keyledger, case)(*case.get("args", []), **kwargs_of(case))
    if case.get("pages"):
        return [page async for page in result.pages()]
    if not isinstance(result, AsyncListing) and not hasattr(result, "__anext__"):
        return await result
    found = []
    async for item in result:
        found.append(item)
        if len(found) == case.get("most", MOST):
            break
    return found


def method_of(keyledger, case):
    group, name = case["call"].split(".")
    return getattr(getattr(keyledger, group), name)


def kwargs_of(case):
    kwargs = case.get("kwargs", {})
    return {**kwargs, "content": kwargs["content"].encode()} if "content" in kwargs else kwargs


async def outcome_of(call, client_class, name, case, clients={}):
    options = {**case["options"], "base_url": case["options"]["base_url"].replace("CLIENT", name)}
    try:
        made = (name, json.dumps(options))
        if made not in clients:
            clients[made] = client_class(**options)
        result = await call(clients[made], case)
    except (KeyledgerError, TypeError, ValueError) as error:
        return outcome_of_error(error)
    return {"result": result, "etag": entity_tag_of(result)}


def outcome_of_error(error):
    known = {name: getattr(error, name, None) for name in ("code", "status", "request_id", "reason", "result", "target")}
    # All that a log could print of it.
    printed = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    hidden = error.__cause__ is not None or error.__context__ is not None
    return {**known, "error": type(error).__name__, "text": str(error), "printed": printed, "hidden": hidden}


async def call_in_thread(keyledger, case):
    return await asyncio.to_thread(call, keyledger, case)


async def main():
    for case in json.load(sys.stdin):
        outcome = await outcome_of(call_in_thread, Keyledger, "sync", case)
        outcome_async = await outcome_of(call_async, AsyncKeyledger, "async", case)
        print(json.dumps([outcome, outcome_async], default=repr), flush=True)


asyncio.run(main())
