import { Box, Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { saveText } from '../audit/download.js';
import { Copied } from '../ui/copied.js';
import { inDigits } from '../ui/format.js';
import { Section } from '../ui/section.js';
import { Time } from '../ui/time.js';
import type { Remembered } from './remembered.js';
import { Witnesses } from './witnesses.js';

interface Props {
  readonly organizationId: string;
  readonly remembered: Remembered;
}

/** The checkpoint that this browser verified last. */
export function CheckpointSection({ organizationId, remembered }: Props) {
  const { checkpoint, origin, size, root, vkey, verified_at: verifiedAt } = remembered;
  return (
    <Section
      title="Checkpoint"
      description="The size and the root of the log, signed. This browser remembers it, and every later one must continue it."
      actions={
        <Button
          variant="default"
          size="xs"
          onClick={() => void saveText(`${organizationId}-checkpoint-${size}.txt`, checkpoint)}
        >
          Download the checkpoint
        </Button>
      }
    >
      <Box component="dl" className="facts">
        <Fact name="Entries">{inDigits(size)}</Fact>
        <Fact name="Root">
          <Copied value={root} label="Copy the root" />
        </Fact>
        <Fact name="Origin">
          <Copied value={origin} label="Copy the origin" />
        </Fact>
        <Fact name="Public key">
          <Copied value={vkey} label="Copy the public key" />
        </Fact>
        <Fact name="Verified">
          <Time at={verifiedAt} exact />
        </Fact>
        <Fact name="Anchor">
          The API signs a checkpoint only after the anchor, a file outside the database, has its size and root.
        </Fact>
        <Fact name="Witnesses">
          <Witnesses organizationId={organizationId} />
        </Fact>
      </Box>
    </Section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <span>{children}</span>
      </dd>
    </>
  );
}
