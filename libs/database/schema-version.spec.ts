import { expect, it } from '@jest/globals';
import { MIGRATIONS, schemaVersion } from './schema-version.js';

it.each([
  ['none', null],
  ['none', []],
  ['current', MIGRATIONS],
  ['foreign', ['0001-main-job']],
  ['foreign', ['0001-main-job', '0002-organizations']],
  ['foreign', [...MIGRATIONS, '9999-of-a-later-version']],
])('a database is used only with the schema of this version: %s for %j', (version, applied) => {
  expect(schemaVersion(applied)).toBe(version);
});
