interface Log {
  /** The address of this deployment. */
  readonly url: string;
  readonly organizationId: string;
  /** The public key that this browser remembers. */
  readonly vkey: string | undefined;
}

/** The commands of an auditor, in the order in which they are used. */
export function auditorCommands({ url, organizationId, vkey }: Log): readonly { purpose: string; command: string }[] {
  const key = vkey === undefined ? '' : ` \\\n  --vkey '${vkey}'`;
  return [
    { purpose: 'Sign in', command: `keyledger login --url ${url}` },
    {
      purpose: 'Verify the whole log, and that it continues what you verified the last time',
      command: `keyledger audit verify --organization ${organizationId} \\\n  --state ${organizationId}.state${key}`,
    },
    {
      purpose: 'The same without signing in, with a key that has audit:read',
      command:
        `KEYLEDGER_API_KEY=… keyledger audit verify --url ${url} \\\n` +
        `  --organization ${organizationId} --state ${organizationId}.state${key}`,
    },
    {
      purpose: 'Keep the log, to verify it on a machine without a network',
      command:
        `keyledger audit export --proofs --organization ${organizationId} --output audit.jsonl\n` +
        `keyledger audit verify audit.jsonl${key}`,
    },
  ];
}
