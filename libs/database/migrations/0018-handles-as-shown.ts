import { Migration } from '@mikro-orm/migrations';

/** Keys are searched for by the 6 characters that lists show of a secret, those that were rotated away included. */
export class HandlesAsShown extends Migration {
  override up(): void {
    this.addSql('CREATE INDEX api_key_secret_shown ON api_key_secret (left(handle, 6))');
  }
}
