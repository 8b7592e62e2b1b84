import { PageHeader } from '../ui/page-header.js';

export function MembersPage() {
  return <PageHeader title="Members" />;
}
