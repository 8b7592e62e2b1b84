import { z } from 'zod';

/** A text in the address, as a user may type it: the router reads `search=42` as a number, and `true` as a boolean. */
export const typedText = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** A text that the API would accept, as it is. */
export function acceptedBy(schema: z.ZodType) {
  return typedText.superRefine((text, context) => {
    const [issue] = schema.safeParse(text).error?.issues ?? [];
    // Texts of the contract say what a value must be. Those of zod are for programmers.
    if (issue)
      context.addIssue({ code: 'custom', message: issue.message.startsWith('must ') ? issue.message : UNKNOWN });
  });
}

export const UNKNOWN = 'is not a value of this filter';

/** A check for a page that ignores `from` and `to` unless the parameter `name` is `custom`. */
export function timesOnlyWithCustom<const Name extends string>(name: Name) {
  type Times = Readonly<Partial<Record<Name | 'from' | 'to', string | undefined>>>;
  return (search: Times, context: z.RefinementCtx) => {
    if (search[name] === 'custom') return;
    for (const time of ['from', 'to'] as const)
      if (search[time] !== undefined)
        context.addIssue({ code: 'custom', path: [time], message: `needs ${name}=custom` });
  };
}

/** For a page that has no parameters. */
export const noSearch = z.strictObject({}) as z.ZodType<object, object>;
