"""The errors of a call. None of their texts holds a secret."""

from typing import Any

from .. import types


class KeyledgerError(Exception):
    """A call failed."""


class ApiError(KeyledgerError):
    """The server rejected the call. `problem` is the body of its response (RFC 9457), with `errors` for bad input."""

    def __init__(self, problem: types.Problem, retry_after: float | None) -> None:
        super().__init__(f"{problem['status']} {problem['code']}: {problem['detail']}")
        self.problem = problem
        self.retry_after = retry_after
        """After how many seconds the server asks to be called again."""

    @property
    def status(self) -> int:
        return self.problem["status"]

    @property
    def code(self) -> types.ProblemCode:
        """For programs, such as `not_found`."""
        return self.problem["code"]

    @property
    def request_id(self) -> str:
        """By which the audit log and support find the request."""
        return self.problem["request_id"]


class NoResponse(KeyledgerError):
    """The server could not be reached, or did not respond in time, also at the last attempt."""

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(f"Keyledger does not respond at {origin}: {reason}")
        self.origin = origin
        """The scheme, host and port that was asked."""
        self.reason = reason
        """A code such as `ECONNREFUSED`, or a short text."""


class UnexpectedResponse(KeyledgerError):
    """What responds is not Keyledger, or is another version."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The response with the status {status} is not one of Keyledger")
        self.status = status


class UnexpectedRedirect(KeyledgerError):
    """The server redirects, which is not followed: the credential and the body would reach another server."""

    def __init__(self, origin: str, target: str | None) -> None:
        super().__init__(f"{origin} redirects to {target or 'another address'}, and credentials are not sent there")
        self.origin = origin
        self.target = target
        """The scheme, host and port of the other address. The rest of it could hold a secret."""


class LostSecrets(KeyledgerError):
    """The server did what was asked, but the response with the secrets was lost: they are shown only once.

    `result` is the rest of the response. A key, for example, can be rotated to get a secret.
    """

    def __init__(self, result: Any) -> None:
        super().__init__("The call succeeded, but the response with the secrets was lost, and they are shown only once")
        self.result = result


class SecretInAddress(KeyledgerError):
    """A secret was given that would be in the URL, which servers and proxies log. It was not sent."""

    def __init__(self) -> None:
        super().__init__("A secret key was given instead of an id or a filter. It was not sent: use the id of the key.")
