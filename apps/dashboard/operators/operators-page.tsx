import { PageHeader } from '../ui/page-header.js';

export function OperatorsPage() {
  return <PageHeader title="Operators" />;
}
