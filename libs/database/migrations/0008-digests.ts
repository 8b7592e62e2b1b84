import { Migration } from '@mikro-orm/migrations';

/** By which nodes know a secret again that Argon2id has found right once. */
export class Digests extends Migration {
  override up(): void {
    this.addSql('ALTER TABLE api_key_secret ADD COLUMN digest bytea');
  }
}
