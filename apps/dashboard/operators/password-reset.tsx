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
      title="Create a password reset link"
      emailRequired
      emailHint="An earlier link for this account stops working. The new link is recorded in the audit log of the account."
      make={(email) => api.deployment.createPasswordReset({ body: { email } })}
      explain={(email) =>
        `Send it only to the owner of ${email}: anyone with the link can take over the account. Using it ends every session of the account.`
      }
    />
  );
}
