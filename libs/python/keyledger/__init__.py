"""Keyledger for Python.

`keyledger.client` calls the whole API, and `keyledger.verify` verifies the API keys of requests to your API.
"""
