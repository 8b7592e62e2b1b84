"""Keyledger for Python. `keyledger.verify` verifies the API keys of requests to your API."""
