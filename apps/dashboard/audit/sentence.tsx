import type { NameOf } from './names.js';
import { wordsOf, type Part } from './event-sentence.js';

interface Props {
  readonly parts: readonly Part[];
  readonly nameOf: NameOf;
}

/** Emphasizes the names in the sentence. */
export function Sentence({ parts, nameOf }: Props) {
  return parts.map((part, at) => (typeof part === 'string' ? part : <strong key={at}>{wordsOf(part, nameOf)}</strong>));
}
