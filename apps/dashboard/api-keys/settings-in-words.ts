import { mapKeyTexts } from '#libs/contract/api-key-texts.js';
import type { MetadataEntry, RateLimitEntry, SettingsForm } from './key-form.js';
import { rateLimitInWords } from './rate-limits-field.js';

export const settingLabels: Record<keyof SettingsForm, string> = {
  name: 'Name',
  ...mapKeyTexts((_name, { label }) => label),
  scopes: 'Scopes',
  expires_at: 'Expires',
  allowed_domains: 'Allowed domains',
  public_scopes: 'Public scopes',
  allowed_ips: 'Allowed IP addresses',
  rate_limits: 'Rate limits',
  metadata: 'Metadata',
};

export function settingInWords(settings: SettingsForm, field: keyof SettingsForm): string {
  const value = settings[field];
  if (value === null) return 'not limited';
  const words = typeof value === 'string' ? value : value.map(itemInWords).join(', ');
  // Without a list of addresses, a key works from all of them. Without domains, its public key works on none alone.
  return words || (field === 'allowed_ips' ? 'every address' : 'none');
}

function itemInWords(item: string | MetadataEntry | RateLimitEntry): string {
  if (typeof item === 'string') return item;
  return 'limit' in item ? rateLimitInWords(item) : `${item.name}: ${item.value}`;
}
