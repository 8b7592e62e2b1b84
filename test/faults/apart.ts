/**
 * What does not follow from the entries and proves nothing, by table or by column (docs/security-model.md). Some changes of
 * it are found nevertheless.
 */
const APART: Readonly<Record<string, string>> = {
  'audit_epoch.started_at': 'says when an operator began the epoch, for people',
  'audit_epoch.anchor_sequence': 'one less than in the anchor is what a crash leaves: it is counted again',
  'audit_log.grown_from': 'within the last segment, it says which of its entries the last transaction appended',
  'audit_log.pruned_at': 'says when the log was pruned last, so that it is pruned once a day',
  'audit_log.erased_index': 'if it is lower, the upkeep deletes once more what it has deleted',
  audit_retention: 'is a setting: the log has an event of each change',
  audit_signed_bundle: 'says which leaf hashes to keep when the log is pruned, and nothing before that',
  audit_anchored_bundle: 'the same for the anchor, which has the tree itself',
  'audit_heads.asked_at': 'says when the witnesses were asked, so that one node asks them',
  'audit_heads.cosigned_at': 'says when the API had enough cosignatures, for people',
  'audit_witness.failure': 'says why a witness did not cosign, for people',
  'audit_witness.failed_at': 'the same',
  'audit_witness.a': 'a witness that cosigned another checkpoint than the kept one is asked again',
  'audit_signing_key.number': 'says which of several keys is newer',
  'audit_signing_key.ends_at': 'a key that signs for longer, or no longer: signatures tell',
  'audit_signing_key.a': 'a key of an epoch that does not exist signs nothing',
};

/** The same for bundles whose entries were pruned: their times cannot be computed again. */
const APART_IF_PRUNED: Readonly<Record<string, string>> = {
  'audit_bundle.oldest': 'selects bundles to search, and a pruned one is not searched',
  'audit_bundle.sealed_at': 'leads to the body, which is gone',
};

/** @param name of a kind of tampering: it begins with the column, if it changes one */
export function isApart(table: string, name: string, hasPruned: boolean): boolean {
  const column = `${table}.${name.split(' ')[0]}`;
  return table in APART || column in APART || (hasPruned && column in APART_IF_PRUNED);
}
