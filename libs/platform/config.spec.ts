import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig } from './config.js';

const good = { DATABASE_URL: 'postgres://keyledger@db/keyledger', KEYLEDGER_SECRET: 'x'.repeat(32) };

describe('a bad setting stops the start with one sentence that names it', () => {
  it.each([
    ['PORT', 'abc'],
    ['PORT', '70000'],
    ['PUBLIC_URL', 'keys.example.com'],
    ['DATABASE_URL', 'mysql://db/keyledger'],
    ['DATABASE_URL', ''],
    ['REDIS_URL', 'http://redis'],
    ['KEYLEDGER_SECRET', 'too short'],
    ['KEYLEDGER_SECRET', ''],
    ['REGISTRATION', 'maybe'],
    ['APP_SCOPES', 'triggers'],
    ['APP_SCOPES', 'triggers:*'],
    ['DEFAULT_KEY_ENVIRONMENT', 'prod'],
    ['DIALECTS', 'klingon'],
    ['DIALECTS', 'none,agentity'],
    ['TRUST_PROXY', 'everybody'],
    ['TRUST_PROXY', '10.0.0.0/99'],
    ['ON_OUTAGE', 'ignore'],
    ['LOG_LEVEL', 'loud'],
    ['METRICS_PORT', '0'],
    ['METRICS_PORT', 'on'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
  ])('%s=%s', (name, value) => {
    const read = () => readConfig({ ...good, [name]: value });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`^${name} [^.]+(\\.\\d+[^.]*)*\\.$`));
  });
});

it('what is left empty is as if it were not given', () => {
  const { settings } = readConfig({ ...good, PORT: '', REDIS_URL: '' });
  expect([settings.PORT, settings.REDIS_URL]).toEqual([3000, undefined]);
});

it('a list is read without the spaces around its items', () => {
  expect(readConfig({ ...good, APP_SCOPES: ' a:read , b:write,' }).settings.APP_SCOPES).toEqual(['a:read', 'b:write']);
});
