"""Prints what the two verifiers decide about a request in each of the cases on standard input, and the reasons."""

import asyncio
import json
import sys

from keyledger.verify import AsyncVerifier, IncomingRequest, Requirement, Verifier


async def decide(case, verifier_class):
    reasons = []

    def on_unavailable(error):
        reasons.append(str(error))
        if case.get("log") == "full":
            raise OSError("the disk is full")

    try:
        verifier = verifier_class(**case["options"], on_unavailable=on_unavailable)
        need = Requirement(**case["need"]) if isinstance(case["need"], dict) else case["need"]
    except TypeError as error:
        return {"error": str(error)}
    request = IncomingRequest("GET", "/orders?page=1", case["headers"].get, case.get("ip"))
    if verifier_class is AsyncVerifier:
        decision = await verifier.verify(request, need)
        await verifier.aclose()
    else:
        decision = await asyncio.to_thread(verifier.verify, request, need)
    # Whatever a log could print of them.
    printed = f"{decision!r} {vars(decision)!r} {verifier!r} {request!r}"
    return {**vars(decision), "reasons": reasons, "printed": printed}


async def main():
    for case in json.load(sys.stdin):
        print(json.dumps([await decide(case, Verifier), await decide(case, AsyncVerifier)]))


asyncio.run(main())
