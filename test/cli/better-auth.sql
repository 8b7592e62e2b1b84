-- The keys of a database of Better Auth 1.7.5, as its API key plugin has made them. The expiry is moved on.
CREATE TABLE apikey (
  id text PRIMARY KEY, "configId" text NOT NULL, name text, start text, "referenceId" text NOT NULL, prefix text,
  key text NOT NULL, "refillInterval" integer, "refillAmount" integer, "lastRefillAt" timestamptz, enabled boolean,
  "rateLimitEnabled" boolean, "rateLimitTimeWindow" integer, "rateLimitMax" integer, "requestCount" integer,
  remaining integer, "lastRequest" timestamptz, "expiresAt" timestamptz, "createdAt" timestamptz NOT NULL,
  "updatedAt" timestamptz NOT NULL, permissions text, metadata text
);
INSERT INTO apikey (
  id, "configId", name, start, "referenceId", prefix, key, enabled, "expiresAt", "createdAt", "updatedAt", permissions,
  metadata
) VALUES
  ('1', 'default', 'Checkout', 'acme_S', 'rmFGvsQHcZb5qO4jS4x1xZPL2ZfzNvmI', 'acme_',
   'sbTXFIIa_UVcsTcJi6bscgjgxF4yvp4vIGV8cBCKheU', true, NULL, now(), now(), '{"triggers":["read"]}', 'null'),
  ('2', 'default', 'Nightly', 'GRClfJ', 'rmFGvsQHcZb5qO4jS4x1xZPL2ZfzNvmI', NULL,
   'tKw2IaxJNP-xZiSaPv4cCR1QQeca0bbl5B6GJgPXnms', true, now() + interval '300 days', now(), now(),
   '{"triggers":["read","write"],"events":["read"]}', '{"plan":"pro"}'),
  ('3', 'default', NULL, 'sioCOY', 'rmFGvsQHcZb5qO4jS4x1xZPL2ZfzNvmI', NULL,
   'uSZHTOCrLduXAJzKWm8l7AJ-ZYsFwH7WS6nOkl1d-WI', true, NULL, now(), now(), NULL, 'null'),
  ('4', 'default', 'Off', 'sSZlor', 'rmFGvsQHcZb5qO4jS4x1xZPL2ZfzNvmI', NULL,
   'kftA-zv5m6sUXkHHjtbXVzpApbziRi2UoGBLbh7zK3w', false, NULL, now(), now(), '{"events":["read"]}', 'null');
