import { z } from 'zod';
import { defineRoute } from './route.js';

const tag = 'Leaked keys';

const MOST_REPORTED = 1_000;

/** An imported token may be so long. */
const token = z.string().min(1).max(500);

export const reportLeakedKeys = defineRoute({
  method: 'POST',
  path: '/api/v1/leaked-keys',
  tag,
  summary: 'Report keys that were found in a public place',
  description:
    'Anyone may report. What is a secret of a key of this deployment is reported to its organization, and revoked if the ' +
    'organization wants it. The response is the same whether any token is one.',
  policy: 'public',
  body: z.strictObject({
    tokens: z.array(token).min(1).max(MOST_REPORTED).meta({
      description:
        'What was found: secrets, imported ones included, or public keys and secrets with a colon between them',
    }),
    source: z
      .string()
      .regex(
        /^[A-Za-z0-9][\w. -]{0,99}$/,
        'must be 1 to 100 letters, digits, blanks and ._-, and begin with a letter or digit',
      )
      .optional()
      .meta({ description: 'Who or what found them, such as a scanner' }),
    url: z
      .url({ protocol: /^https?$/, error: 'must be an http(s) address' })
      .max(2_000)
      .optional()
      .meta({ description: 'Where they were found' }),
  }),
  success: { status: 204 },
});

/** As GitHub sends them. It may add fields. */
const GitHubMatch = z.looseObject({
  token: z.string(),
  type: z.string(),
  url: z.string().nullish(),
  source: z.string().nullish().meta({ description: 'Where on GitHub the token is, such as `content` or `commit`' }),
});
export type GitHubMatch = z.infer<typeof GitHubMatch>;

export const GitHubMatches = z.array(GitHubMatch).max(MOST_REPORTED);

export const reportFromGitHub = defineRoute({
  method: 'POST',
  path: '/api/v1/leaked-keys/github',
  tag,
  summary: 'Receive what the secret scanning of GitHub found',
  description:
    "For GitHub's secret scanning partner program. The request needs a signature of GitHub over the bytes of the body, by " +
    'a key that GITHUB_KEYS names. Then each token is handled as by a report, and the response labels it.',
  policy: 'public',
  headers: z.object({
    'github-public-key-identifier': z.string().min(1).max(200).meta({ description: 'The id of the key' }),
    'github-public-key-signature': z
      .string()
      .regex(/^[A-Za-z0-9+/]{1,200}={0,2}$/, 'must be base64')
      .meta({ description: 'ECDSA P-256 with SHA-256 over the body, DER in base64' }),
  }),
  signedBody: GitHubMatches,
  bodyLimits: { bytes: 1_048_576, values: 10_000 },
  success: {
    status: 200,
    body: z.array(
      z.strictObject({
        token_raw: z.string(),
        token_type: z.string(),
        label: z
          .enum(['true_positive', 'false_positive'])
          .meta({ description: '`true_positive`: a secret of this deployment, whether it still works or not' }),
      }),
    ),
  },
  problems: ['invalid_signature', 'public_keys_unavailable'],
});
