import { PageHeader } from '../ui/page-header.js';

export function ProjectPage() {
  return <PageHeader title="Project" />;
}
