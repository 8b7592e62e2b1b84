// npm install express
// KEYLEDGER_SERVICE_KEY=sk_… node express.mjs
import express from 'express';

const KEYLEDGER = 'http://127.0.0.1:3000';

function requireScope(scope) {
  return async (request, response, next) => {
    const { status, code, api_key } = await verify(request.get('x-api-key'), scope, {
      method: request.method,
      path: request.originalUrl.split('?', 1)[0].slice(0, 2000),
      ip: request.ip,
      user_agent: request.get('user-agent')?.slice(0, 500),
    });
    if (!api_key) {
      response.status(status).json({ status, code });
      return;
    }
    request.apiKey = api_key; // whose key it is: api_key.organization_id, api_key.id, …
    next();
  };
}

/** Asks Keyledger, which records the use before it responds. Without a decision no request passes. */
async function verify(key, scope, request) {
  if (!key || key.length > 500) return { status: 401, code: key ? 'invalid_key' : 'unauthenticated' };
  try {
    const response = await fetch(`${KEYLEDGER}/api/v1/api-keys/verify`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-API-Key': process.env.KEYLEDGER_SERVICE_KEY },
      body: JSON.stringify({ key, scopes: [scope], request }),
      signal: AbortSignal.timeout(5000),
    });
    if (response.ok) {
      const { valid, code, api_key } = await response.json();
      return valid ? { api_key } : { status: statusOf(code), code };
    }
  } catch {
    // Keyledger cannot be reached.
  }
  return { status: 503, code: 'verification_unavailable' };
}

function statusOf(code) {
  if (['invalid_key', 'revoked', 'expired', 'disabled'].includes(code)) return 401;
  return { insufficient_credits: 402, rate_limited: 429 }[code] ?? 403;
}

const app = express();
app.get('/', requireScope('triggers:read'), (request, response) => {
  response.json({ hello: request.apiKey.organization_id });
});
app.listen(process.env.PORT ?? 8080, '127.0.0.1');
