import { Migration } from '@mikro-orm/migrations';

/** A number for every key, which those know it by who know no other id. */
export class KeyNumbers extends Migration {
  override up(): void {
    this.addSql('ALTER TABLE api_key ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE');
  }
}
