import {
  IconAlertTriangle,
  IconArrowBackUp,
  IconBan,
  IconBuilding,
  IconCheck,
  IconCoins,
  IconEye,
  IconFolder,
  IconKey,
  IconLogin2,
  IconMail,
  IconPoint,
  IconUser,
  IconUsers,
} from '@tabler/icons-react';

/** Derives icon and colour from the type's name, so that unknown types have them as well. */
const looks = [
  [/^api_key\.used$/, IconCheck, 'valid'],
  [/^api_key\.denied$/, IconBan, 'denied'],
  [/^api_key\.(revoked|expired)$/, IconKey, 'red'],
  [/^(api_key\.(expiring|disabled)|credits\.low)$/, IconAlertTriangle, 'orange'],
  [/^user\.(login_failed|refresh_token_reused)$/, IconAlertTriangle, 'orange'],
  [/^organization\.suspended$/, IconBan, 'orange'],
  [/^api_key\./, IconKey, 'indigo'],
  [/^user\.(login|logged|session)/, IconLogin2, 'gray'],
  [/^user\./, IconUser, 'gray'],
  [/^operator\./, IconEye, 'gray'],
  [/^organization\.resumed$/, IconArrowBackUp, 'gray'],
  [/^organization\./, IconBuilding, 'gray'],
  [/^member\./, IconUsers, 'gray'],
  [/^invitation\./, IconMail, 'gray'],
  [/^project\./, IconFolder, 'gray'],
  [/^credits\./, IconCoins, 'gray'],
] as const;

export function EventIcon({ type }: { readonly type: string }) {
  const [, Icon, color] = looks.find(([pattern]) => pattern.test(type)) ?? [null, IconPoint, 'gray'];
  return <Icon className="event-icon" data-color={color} size={16} aria-hidden />;
}
