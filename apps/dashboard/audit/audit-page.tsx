import { useParams } from '@tanstack/react-router';
import { PageHeader } from '../ui/page-header.js';
import { AuditLog } from './audit-log.js';

export function AuditPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/audit' });
  return (
    <>
      <PageHeader title="Audit log" description="Everything that happened here, and who did it." />
      <AuditLog key={organizationId} organizationId={organizationId} />
    </>
  );
}
