import { PageHeader } from '../ui/page-header.js';

export function ApiKeyPage() {
  return <PageHeader title="API key" />;
}
