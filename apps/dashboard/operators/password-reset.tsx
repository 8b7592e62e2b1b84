import { api } from '../session/session.js';
import { LinkByEmail } from './link-by-email.js';

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
}

export function PasswordReset(props: Props) {
  return (
    <LinkByEmail
      {...props}
      title="A link to set another password"
      emailRequired
      emailHint="A link that was made for it before stops working. It stands in the audit log of the account."
      make={(email) => api.deployment.createPasswordReset({ body: { email } })}
      explain={(email) =>
        `Hand it to the owner of ${email} and nobody else: whoever has it has the account. Every session of the account ends when it is used.`
      }
    />
  );
}
