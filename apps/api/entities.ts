import { ApiKey, ApiKeySecret } from '#libs/api-keys/api-key.entity.js';
import { PasswordReset } from '#libs/auth/password-reset.entity.js';
import { RefreshToken, Session } from '#libs/auth/session.entity.js';
import { SigningKey } from '#libs/auth/signing-key.entity.js';
import { User } from '#libs/auth/user.entity.js';
import { Credit, CreditGrant } from '#libs/organizations/credit.entity.js';
import { Invitation } from '#libs/organizations/invitation.entity.js';
import { Membership } from '#libs/organizations/membership.entity.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Project } from '#libs/organizations/project.entity.js';

/** Every entity; the architecture test fails if one is missing. */
export const entities = [
  ApiKey,
  ApiKeySecret,
  Credit,
  CreditGrant,
  Invitation,
  Membership,
  Organization,
  PasswordReset,
  Project,
  RefreshToken,
  Session,
  SigningKey,
  User,
];
