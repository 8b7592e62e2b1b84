import { importApiKeys } from './api-key-import.js';
import * as apiKeys from './api-keys.js';
import * as audit from './audit.js';
import * as auditNames from './audit-names.js';
import * as auditIntegrity from './audit-integrity.js';
import * as auditProofs from './audit-proofs.js';
import { summarizeAuditEvents } from './audit-summary.js';
import * as auditRetention from './audit-retention.js';
import * as auth from './auth.js';
import * as bulkChanges from './bulk-changes.js';
import * as credits from './credits.js';
import * as deployment from './deployment.js';
import { find } from './find.js';
import * as keyPolicy from './key-policy.js';
import * as keyTokens from './key-tokens.js';
import * as leakedKeys from './leaked-keys.js';
import * as members from './members.js';
import * as organizations from './organizations.js';
import * as projects from './projects.js';
import type { NamedRoute, Route } from './route.js';
import * as system from './system.js';
import * as usage from './usage.js';

/** Every operation of the API, grouped as in the client. */
export const routes = {
  auth: {
    register: auth.register,
    login: auth.login,
    refresh: auth.refresh,
    logout: auth.logout,
    updateAccount: auth.updateAccount,
    changePassword: auth.changePassword,
    resetPassword: auth.resetPassword,
    listSessions: auth.listSessions,
    endSession: auth.endSession,
    whoami: apiKeys.whoami,
  },
  organizations: {
    create: organizations.createOrganization,
    list: organizations.listOrganizations,
    get: organizations.getOrganization,
    update: organizations.updateOrganization,
  },
  keyPolicy: {
    get: keyPolicy.getKeyPolicy,
    update: keyPolicy.updateKeyPolicy,
    preview: keyPolicy.previewKeyPolicy,
  },
  members: { list: members.listMembers, update: members.updateMember, remove: members.removeMember },
  invitations: {
    create: members.createInvitation,
    list: members.listInvitations,
    revoke: members.revokeInvitation,
    describe: members.describeInvitation,
    accept: members.acceptInvitation,
  },
  projects: {
    create: projects.createProject,
    list: projects.listProjects,
    get: projects.getProject,
    update: projects.updateProject,
    delete: projects.deleteProject,
  },
  apiKeys: {
    create: apiKeys.createApiKey,
    import: importApiKeys,
    list: apiKeys.listApiKeys,
    get: apiKeys.getApiKey,
    update: apiKeys.updateApiKey,
    listSecrets: apiKeys.listSecrets,
    rotate: apiKeys.rotateApiKey,
    enable: apiKeys.enableApiKey,
    disable: apiKeys.disableApiKey,
    revoke: apiKeys.revokeApiKey,
    delete: apiKeys.deleteApiKey,
    previewBulkChange: bulkChanges.previewBulkChange,
    changeInBulk: bulkChanges.changeInBulk,
    countToReview: bulkChanges.countKeysToReview,
    verify: apiKeys.verifyApiKey,
    createToken: keyTokens.createKeyToken,
    listScopes: apiKeys.listScopes,
    listEvents: audit.listApiKeyEvents,
  },
  keyTokens: { jwks: keyTokens.jsonWebKeySet },
  leakedKeys: { report: leakedKeys.reportLeakedKeys, reportFromGitHub: leakedKeys.reportFromGitHub },
  usage: { ofApiKey: usage.getApiKeyUsage, ofOrganization: usage.getOrganizationUsage },
  audit: {
    listEvents: audit.listAuditEvents,
    exportEvents: audit.exportAuditEvents,
    tail: audit.tailAuditEvents,
    summarizeEvents: summarizeAuditEvents,
    listNames: auditNames.listAuditNames,
    proveEvent: auditProofs.proveAuditEvent,
    proveConsistency: auditProofs.proveAuditConsistency,
    receipt: auditProofs.auditEventReceipt,
    checkpoint: auditProofs.tlogCheckpoint,
    vkeys: auditProofs.tlogVkeys,
    tile: auditProofs.tlogTile,
    getRetention: auditRetention.getAuditRetention,
    integrity: auditIntegrity.auditIntegrity,
  },
  find: { find },
  credits: {
    get: credits.getBalance,
    listGrants: credits.listGrants,
    grant: credits.grantCredits,
    remove: credits.removeBalance,
  },
  deployment: {
    listOrganizations: deployment.listAllOrganizations,
    suspendOrganization: deployment.suspendOrganization,
    resumeOrganization: deployment.resumeOrganization,
    setScopeCeiling: deployment.setScopeCeiling,
    listOperators: deployment.listOperators,
    inviteOperator: deployment.inviteOperator,
    removeOperator: deployment.removeOperator,
    createPasswordReset: deployment.createPasswordReset,
    listServiceKeys: deployment.listServiceKeys,
    revokeServiceKey: deployment.revokeServiceKey,
    searchAuditLogs: audit.searchAuditLogs,
    setAuditRetention: auditRetention.setAuditRetention,
    placeLegalHold: auditRetention.placeLegalHold,
    liftLegalHold: auditRetention.liftLegalHold,
  },
  system: { live: system.live, ready: system.ready, describeProblem: system.describeProblem },
} as const satisfies Record<string, Record<string, Route>>;

/** The routes as a list. */
export function allRoutes(): NamedRoute[] {
  return Object.entries(routes).flatMap(([group, members]) => namedRoutes(group, members));
}

export function namedRoutes(group: string, members: Record<string, Route>): NamedRoute[] {
  return Object.entries(members).map(([name, route]) => ({ name: `${group}.${name}`, route }));
}
