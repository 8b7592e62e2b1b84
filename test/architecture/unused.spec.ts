import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '../..');

describe('the tree', () => {
  it('has no unused file, export or dependency', () => {
    expect(knip(root)).toBe('');
  });

  it('is checked by a tool that finds unused code', () => {
    const tree = mkdtempSync(join(tmpdir(), 'keyledger-unused-'));
    const files = {
      'package.json': JSON.stringify({ name: 'fixture', type: 'module', imports: { '#libs/*': './dist/libs/*' } }),
      'apps/api/main.ts': `import { used } from '#libs/tlog/a.js'; used();`,
      'libs/tlog/a.ts': `export const used = () => 1; export const exportOfNobody = 2;`,
      'libs/tlog/file-of-nobody.ts': `export {};`,
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    cpSync(join(root, 'knip.json'), join(tree, 'knip.json'));
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'), 'junction');
    const report = knip(tree);
    rmSync(tree, { recursive: true });

    expect(report).toContain('exportOfNobody');
    expect(report).toContain('file-of-nobody.ts');
    expect(report).not.toMatch(/\bused\b.*libs\/tlog\/a\.ts/);
  });
});

/** What knip reports about a tree. Empty if there is nothing to report. */
function knip(tree: string): string {
  const command = [join(root, 'node_modules/knip/bin/knip.js'), '--no-progress', '--no-config-hints'];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: tree, encoding: 'utf8' });
  return status === 0 ? '' : stdout + stderr;
}
