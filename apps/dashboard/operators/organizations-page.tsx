import { PageHeader } from '../ui/page-header.js';

export function OrganizationsPage() {
  return <PageHeader title="Organizations" />;
}
