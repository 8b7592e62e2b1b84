import { Select, type ComboboxParsedItem, type OptionsFilter } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconBuilding } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { DEPLOYMENT_ID, type Organization } from '#libs/contract/organizations.js';
import { CreateOrganization } from './create-organization.js';
import { firstPageOf } from './first-page.js';
import { useOrganizations } from './organizations.js';

const CREATE = 'create';

/** @param current the user's own organization, or the one that the user looks at as an operator */
export function OrganizationSwitcher({ current }: { readonly current: Organization | undefined }) {
  const navigate = useNavigate();
  const own = useOrganizations();
  const [creating, dialog] = useDisclosure(false);
  const foreign = current && !own.some(({ id }) => id === current.id) ? [current] : [];
  const change = (id: string | null) => {
    if (id === CREATE) return dialog.open();
    const organization = own.find((candidate) => candidate.id === id);
    if (organization) void navigate(firstPageOf(organization));
  };
  return (
    <>
      <Select
        aria-label="Organization"
        data={[
          ...(foreign.length > 0 ? [{ group: 'As an operator', items: foreign.map(optionOf) }] : []),
          { group: 'Your organizations', items: own.map(optionOf) },
          { group: ' ', items: [{ value: CREATE, label: 'Create an organization…' }] },
        ]}
        value={current?.id ?? null}
        placeholder="No organization"
        onChange={change}
        leftSection={<IconBuilding size={16} />}
        searchable
        filter={matching}
        allowDeselect={false}
        comboboxProps={{ withinPortal: true }}
      />
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </>
  );
}

function optionOf({ id, name }: Organization) {
  return { value: id, label: id === DEPLOYMENT_ID ? 'This deployment' : name };
}

/** Filters by name. The option that creates an organization is always shown. */
const matching: OptionsFilter = ({ options, search }) => {
  const wanted = search.trim().toLowerCase();
  const matches = (item: ComboboxParsedItem): boolean =>
    !('group' in item) && (item.value === CREATE || item.label.toLowerCase().includes(wanted));
  return options
    .map((option) => ('group' in option ? { ...option, items: option.items.filter(matches) } : option))
    .filter((option) => ('group' in option ? option.items.length > 0 : matches(option)));
};
