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
      emailHint="With it, nobody else can use the link. An operator reads every organization, and suspends, limits and credits it."
      make={(email) => api.deployment.inviteOperator({ body: email ? { email } : {} })}
      explain={(email) =>
        `${email ? `Only the account of ${email}` : 'Whoever has this link'} becomes an operator. Nothing was sent.`
      }
    />
  );
}
