import { PageHeader } from '../ui/page-header.js';

export function ApiKeysPage() {
  return <PageHeader title="API keys" />;
}
