import { Suspense, useState } from 'react';
import { lazyPart } from '../session/load-part.js';
import { BulkBar } from './bulk-bar.js';
import { filterOf, type BulkRequest } from './bulk-change.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import type { KeySelection } from './key-selection.js';

const BulkDialog = lazyPart(async () => (await import('./bulk-dialog.js')).BulkDialog);

interface Props {
  readonly organizationId: string;
  readonly search: ApiKeysSearch;
  readonly selection: KeySelection;
  readonly total: number;
  readonly filtered: boolean;
}

/** The actions on the selected keys, and their dialog. */
export function BulkChanges({ organizationId, search, selection, total, filtered }: Props) {
  const [request, setRequest] = useState<BulkRequest>();
  const { isAll, ids, clear } = selection;
  const close = () => setRequest(undefined);
  return (
    <>
      <BulkBar
        {...{ selection, total, filtered }}
        onAction={(action) => {
          const selected = isAll ? { filter: filterOf(search) } : { ids: [...ids] };
          setRequest({ organization_id: organizationId, action, ...selected });
        }}
      />
      <Suspense>
        {request && (
          <BulkDialog
            request={request}
            onClose={close}
            onDone={() => {
              close();
              clear();
            }}
          />
        )}
      </Suspense>
    </>
  );
}
