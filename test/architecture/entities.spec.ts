import { globSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';
import { EntitySchema } from '@mikro-orm/core';

import { entities } from '../../apps/api/entities.js';

const root = join(import.meta.dirname, '../..');

describe('the entities', () => {
  it('are all registered', async () => {
    const found = new Set<unknown>();
    for (const file of globSync('libs/**/*.entity.ts', { cwd: root })) {
      const exported: Record<string, unknown> = await import(join(root, file));
      const ours = Object.values(exported).filter((value) => EntitySchema.REGISTRY.has(value as never));
      expect({ file, entities: ours.length }).not.toEqual({ file, entities: 0 });
      for (const entity of ours) found.add(entity);
    }
    expect(new Set<unknown>(entities)).toEqual(found);
  });
});
