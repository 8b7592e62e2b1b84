import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ProofError } from './proof-error.js';
import { verifyConsistency, verifyInclusion } from './proofs.js';

interface Published {
  readonly name: string;
  readonly leafIdx?: number;
  readonly treeSize: number;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly size1: number;
  readonly size2: number;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

const published = readFileSync(new URL('testdata/merkle-proofs.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Published);

const bytes = (base64: string | null) => new Uint8Array(Buffer.from(base64 ?? '', 'base64'));

function verify({ leafIdx, treeSize, leafHash, root, size1, size2, root1, root2, proof }: Published): void {
  const hashes = (proof ?? []).map(bytes);
  if (leafIdx === undefined) {
    verifyConsistency({ size: size1, root: bytes(root1) }, { size: size2, root: bytes(root2) }, hashes);
  } else {
    verifyInclusion({ index: leafIdx, hash: bytes(leafHash) }, { size: treeSize, root: bytes(root) }, hashes);
  }
}

/** Its roots are equal, but no hashes: they do not have 32 bytes. */
const WITHOUT_HASHES = 'consistency/additional/sizes-are-equal-one-and-proof-is-empty';

describe('the published proof', () => {
  it.each(published.filter(({ name, wantErr }) => !wantErr && name !== WITHOUT_HASHES))(
    '$name is accepted',
    (proof) => {
      expect(() => verify(proof)).not.toThrow();
    },
  );

  it.each(published.filter(({ name, wantErr }) => wantErr || name === WITHOUT_HASHES))('$name is rejected', (proof) => {
    expect(() => verify(proof)).toThrow(ProofError);
  });
});
