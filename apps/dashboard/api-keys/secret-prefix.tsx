import type { ApiKey } from './api-keys.js';

/** The beginning of the secret. Of an imported one it may be unknown. */
export function SecretPrefix({
  apiKey: { prefix, imported },
}: {
  readonly apiKey: Pick<ApiKey, 'prefix' | 'imported'>;
}) {
  return (
    <>
      {prefix && <span className="mono">{prefix}…</span>}
      {imported && (prefix ? ' · imported' : 'Imported')}
    </>
  );
}
