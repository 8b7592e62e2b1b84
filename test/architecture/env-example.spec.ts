import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';
import { settings } from '#libs/platform/config.js';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

const documented = new Map(
  Array.from(read('.env.example').matchAll(/^([A-Z_]+)=(.*)$/gm), ([, name, value]) => [name!, value!]),
);

describe('.env.example', () => {
  it('documents every variable that is read, and no other', () => {
    const readByCompose = Array.from(read('docker-compose.yml').matchAll(/\$\{([A-Z_]+)/g), ([, name]) => name!);
    // The launcher owns the embedded database, so its folder is no setting of a service.
    const wanted = new Set([...Object.keys(settings.shape), ...readByCompose, 'DATA_DIR']);
    expect([...documented.keys()].toSorted()).toEqual([...wanted].toSorted());
  });

  it.each(Object.entries(settings.shape))('has the default of %s', (name, schema) => {
    const value = documented.get(name) || undefined;
    const byDefault = schema.safeParse(undefined);
    expect(schema.safeParse(value)).toEqual(byDefault);
  });

  it('explains each variable', () => {
    for (const name of documented.keys()) {
      expect(read('.env.example')).toMatch(new RegExp(`^# .+\\n${name}=`, 'm'));
    }
  });
});
