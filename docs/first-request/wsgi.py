# KEYLEDGER_SERVICE_KEY=sk_… python3 wsgi.py
import json
import os
import urllib.request
from wsgiref.simple_server import make_server

KEYLEDGER = "http://127.0.0.1:3000"
STATUS = {
    "invalid_key": "401 Unauthorized",
    "revoked": "401 Unauthorized",
    "expired": "401 Unauthorized",
    "disabled": "401 Unauthorized",
    "insufficient_credits": "402 Payment Required",
    "rate_limited": "429 Too Many Requests",
}


def verify(key, scope, request):
    """Asks Keyledger, which records the use before it responds."""
    question = urllib.request.Request(
        KEYLEDGER + "/api/v1/api-keys/verify",
        data=json.dumps({"key": key, "scopes": [scope], "request": request}).encode(),
        headers={"Content-Type": "application/json", "X-API-Key": os.environ["KEYLEDGER_SERVICE_KEY"]},
    )
    with urllib.request.urlopen(question, timeout=5) as response:
        return json.load(response)


class RequireScope:
    """WSGI middleware for Flask (app.wsgi_app = RequireScope(app.wsgi_app, …)), Django and others."""

    def __init__(self, app, scope):
        self.app, self.scope = app, scope

    def __call__(self, environ, start_response):
        def refuse(status, code):
            start_response(status, [("Content-Type", "application/json")])
            return [json.dumps({"status": int(status[:3]), "code": code}).encode()]

        key = environ.get("HTTP_X_API_KEY", "")
        if not 0 < len(key) <= 500:
            return refuse("401 Unauthorized", "invalid_key" if key else "unauthenticated")
        request = {
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", "/")[:2000],
            "ip": environ.get("REMOTE_ADDR", ""),
            "user_agent": environ.get("HTTP_USER_AGENT", "")[:500],
        }
        try:
            verified = verify(key, self.scope, request)
        except (OSError, ValueError):  # Without a decision no request passes.
            return refuse("503 Service Unavailable", "verification_unavailable")
        if not verified["valid"]:
            return refuse(STATUS.get(verified["code"], "403 Forbidden"), verified["code"])
        environ["keyledger.api_key"] = verified["api_key"]  # whose key it is
        return self.app(environ, start_response)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"hello": environ["keyledger.api_key"]["organization_id"]}).encode()]


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ.get("PORT", "8080")), RequireScope(app, "triggers:read")).serve_forever()
