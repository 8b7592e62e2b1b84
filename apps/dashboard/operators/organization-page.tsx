import { PageHeader } from '../ui/page-header.js';

export function OrganizationPage() {
  return <PageHeader title="Organization" />;
}
