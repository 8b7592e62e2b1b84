"""Finds the secrets of keys in a text."""

import re
import zlib

TOKEN = re.compile(r"(?=(([a-z][a-z0-9_]{0,30})_[0-9A-Za-z]{26})([0-9A-Za-z]{6}))", re.ASCII)
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def holds_secret(text: str) -> bool:
    """Whether a text contains a complete secret, whatever surrounds it. The checksum tells it from a lookalike."""
    return any(
        zlib.crc32(body.encode()) == _number_of(checksum) and prefix != "pk" and not prefix.startswith("pk_")
        for body, prefix, checksum in TOKEN.findall(text)
    )


def _number_of(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(DIGITS) + DIGITS.index(digit)
    return number
