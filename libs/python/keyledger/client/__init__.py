"""A client for the whole API of Keyledger."""

from ._callers import AsyncListing, Listing
from ._client import AsyncKeyledger, Keyledger
from ._errors import (
    ApiError,
    KeyledgerError,
    LostSecrets,
    NoResponse,
    SecretInAddress,
    UnexpectedRedirect,
    UnexpectedResponse,
)
from ._operation import NOT_GIVEN, NotGiven
from ._transport import entity_tag_of

__all__ = [
    "NOT_GIVEN",
    "ApiError",
    "AsyncKeyledger",
    "AsyncListing",
    "Keyledger",
    "KeyledgerError",
    "Listing",
    "LostSecrets",
    "NoResponse",
    "NotGiven",
    "SecretInAddress",
    "UnexpectedRedirect",
    "UnexpectedResponse",
    "entity_tag_of",
]
