import { getRouteApi } from '@tanstack/react-router';
import { ApiKeysList } from './api-keys-list.js';

const route = getRouteApi('/shell/org/$organizationId/settings/api-keys');

export function ApiKeysPage() {
  const { organizationId } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <ApiKeysList
      // A new organization resets the state: an open dialog belongs to a key of the previous one.
      key={organizationId}
      organizationId={organizationId}
      search={search}
      onSearch={(changes, replace) =>
        void navigate({ search: (before) => ({ ...before, ...changes }), replace, resetScroll: false })
      }
      title="API keys"
      createLabel="Create API key"
    />
  );
}
