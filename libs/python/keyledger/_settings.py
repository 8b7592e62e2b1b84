"""Checks what a program says about where Keyledger is and what it shows there."""

import re

import httpx


def checked_base(base_url: str) -> str:
    """Returns the address without a final slash."""
    try:
        url = httpx.URL(base_url)
        is_server = url.scheme in ("http", "https") and url.host
        is_plain = is_server and not url.userinfo and not re.search(r"[?#\s]", base_url)
    except (TypeError, httpx.InvalidURL):
        is_plain = False
    if not is_plain:
        raise TypeError("base_url must be the address of Keyledger, such as https://keys.example.com.")
    return base_url.rstrip("/")


def is_header_value(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[\x21-\x7e]+", text) is not None
