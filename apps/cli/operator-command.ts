import { email as Email } from '#libs/contract/accounts.js';
import type { CommandProcess } from './command-process.js';
import { EXIT_USAGE } from './exit-codes.js';
import { deploymentHere } from './here.js';
import { newOperatorLink } from './operator-link.js';
import { localTime } from './remote/text.js';

/** @param text the e-mail address that the link is for; without it, anyone may open the link */
export async function addOperator(
  text: string | undefined,
  { json }: { readonly json?: boolean },
  host: CommandProcess,
): Promise<number> {
  const { data: email = null, success } = Email.optional().safeParse(text);
  if (!success) {
    host.stderr.write('EMAIL must be an address such as ada@example.com.\n');
    return EXIT_USAGE;
  }
  const { settings, publicUrl } = deploymentHere(host);
  const { url, token, expiresAt } = await newOperatorLink(settings.DATABASE_URL, publicUrl, email, host.env);
  host.stdout.write(
    json
      ? `${JSON.stringify({ url, token, expires_at: expiresAt.toISOString() })}\n`
      : `${url}\n\nThe link works once, until ${localTime(expiresAt.toISOString())}. With the API: register with "invitation_token", or sign in and call\nPOST /api/v1/invitations/accept, with the text after the #.\n`,
  );
  return 0;
}
