"""Reads lines, and prints the secrets of Keyledger keys in them whose checksum is right."""

import re
import sys
import zlib

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET = re.compile(r"\b((?:sk_(?:live|test)|agk_live|cagi)_[0-9A-Za-z]{32})\b")


def checksum(text: str) -> str:
    """The CRC-32 of the text, as a number of six digits in base 62."""
    number, digits = zlib.crc32(text.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return digits


for line in sys.stdin:
    for secret in SECRET.findall(line):
        if checksum(secret[:-6]) == secret[-6:]:
            print(secret)
