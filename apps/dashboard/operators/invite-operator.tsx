import { api } from '../session/session.js';
import { LinkByEmail } from './link-by-email.js';

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
}

export function InviteOperator(props: Props) {
  return (
    <LinkByEmail
      {...props}
      title="Invite an operator"
      emailRequired={false}
      emailHint="If set, only the account with this address can use the link. An operator can read, suspend and limit every organization, and grant credits."
      make={(email) => api.deployment.inviteOperator({ body: email ? { email } : {} })}
      explain={(email) =>
        `${email ? `Only the account of ${email}` : 'Anyone with this link'} can become an operator. Keyledger sends no email.`
      }
    />
  );
}
