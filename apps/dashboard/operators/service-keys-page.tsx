import { PageHeader } from '../ui/page-header.js';

export function ServiceKeysPage() {
  return <PageHeader title="Service keys" />;
}
