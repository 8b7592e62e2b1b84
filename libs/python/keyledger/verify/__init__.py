"""Lets a request to your API pass if Keyledger accepts its API key."""

from ._decision import Accepted, Caller, Decision, Rejected
from ._request import IncomingRequest, Requirement
from ._verifier import AsyncVerifier, Verifier

__all__ = ["Accepted", "AsyncVerifier", "Caller", "Decision", "IncomingRequest", "Rejected", "Requirement", "Verifier"]
