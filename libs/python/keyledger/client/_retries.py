"""When a call is repeated."""

import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from ._operation import Received, Request

RATE_LIMITED = 429
# Of a server or proxy that is away for a moment.
AWAY = (502, 503, 504)
# A server that asks for a longer pause gets no repeated call: the caller gets its response at once.
LONGEST_PAUSE = 30.0


def pause_after(attempt: int, request: Request, received: Received | None) -> float | None:
    """The seconds until a request is sent again, or None if it is not.

    A call that was rate-limited did nothing. Any other is repeated only if that is safe.

    received: None if there was no response.
    """
    is_limited = received is not None and received.status == RATE_LIMITED
    is_away = received is None or received.status in AWAY
    if not is_limited and not (is_away and request.is_repeatable):
        return None
    asked = None if received is None else seconds_asked(received.headers)
    if asked is not None:
        return asked if asked <= LONGEST_PAUSE else None
    return float(0.3 * 2 ** (attempt - 1) * random.uniform(0.5, 1))


def seconds_asked(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` asks for: seconds, or a date."""
    text = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
