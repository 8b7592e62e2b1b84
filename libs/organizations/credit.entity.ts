import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const CreditSchema = defineEntity({
  name: 'Credit',
  properties: {
    organizationId: typeId('org').primary(),
    balance: p.bigint('number'),
    /** Each time the balance falls below it, `credits.low` is emitted once. */
    lowBelow: p.bigint('number'),
  },
});

/**
 * The prepaid balance of an organization, which all its keys share. Admission charges it. An organization without a
 * balance is not metered.
 */
export class Credit extends CreditSchema.class {}
CreditSchema.setClass(Credit);

const CreditGrantSchema = defineEntity({
  name: 'CreditGrant',
  properties: {
    id: typeId('grant').primary(),
    organizationId: typeId('org'),
    amount: p.bigint('number'),
    balanceAfter: p.bigint('number'),
    reason: p.string().nullable(),
    /** Null for the initial balance of an organization. */
    grantedBy: typeId('user').nullable(),
    createdAt: p.datetime(),
  },
});

/** An amount that was added to a balance. */
export class CreditGrant extends CreditGrantSchema.class {}
CreditGrantSchema.setClass(CreditGrant);
