import type { RecordedState } from '#libs/contract/events.js';
import { KINDS, State, type Fields, type Kind } from './state.js';

type RecordedObject = RecordedState['state'][number];

/** An entry has at most 65,535 bytes. With the rest of the event, a part takes less than 60,000. */
const MAX_PART_BYTES = 59_000;
/** Of a long field, in characters: each has at most 6 bytes as a part of a JSON text. */
const PIECE = 9_000;

/** What names people, besides their ids. */
const NAMES: Partial<Record<Kind, readonly string[]>> = {
  organization: ['name'],
  account: ['email', 'name'],
  invitation: ['email'],
};

/**
 * The parts in which a state is recorded, each small enough for an event.
 * @param below the leaf index before which the log says this
 * @param recordsNames whether to record names and e-mail addresses of people
 */
export function partsOf(state: State, below: number, recordsNames: boolean): RecordedState[] {
  const slices: RecordedObject[][] = [[]];
  let bytes = 0;
  for (const object of objectsOf(state, recordsNames)) {
    const more = Buffer.byteLength(JSON.stringify(object)) + 1;
    if (bytes + more > MAX_PART_BYTES && bytes > 0) {
      slices.push([]);
      bytes = 0;
    }
    slices.at(-1)!.push(object);
    bytes += more;
  }
  return slices.map((slice, n) => ({ below, part: n + 1, parts: slices.length, state: slice }));
}

function* objectsOf(state: State, recordsNames: boolean): Generator<RecordedObject> {
  for (const kind of KINDS) {
    const left = recordsNames ? [] : (NAMES[kind] ?? []);
    for (const [id, all] of state.of(kind)) {
      const fields = Object.fromEntries(Object.entries(all).filter(([field]) => !left.includes(field)));
      if (Buffer.byteLength(JSON.stringify([kind, id, fields])) <= MAX_PART_BYTES) yield [kind, id, fields];
      else yield* piecesOf(kind, id, fields);
    }
  }
}

function* piecesOf(kind: Kind, id: string, fields: Fields): Generator<RecordedObject> {
  for (const [field, value] of Object.entries(fields)) {
    // An undefined field is unknown, as one that is absent.
    const text = JSON.stringify(value) as string | undefined;
    for (const piece of cut(text ?? '')) yield [kind, id, field, piece];
  }
}

/** Into pieces of about the same length, never between the two halves of a surrogate pair. */
function* cut(text: string): Generator<string> {
  for (let at = 0, end = 0; at < text.length; at = end) {
    end = Math.min(at + PIECE, text.length);
    if (text.codePointAt(end - 1)! > 0xffff) end -= 1;
    yield text.slice(at, end);
  }
}

/**
 * The state from its parts.
 * @returns null if they are not all parts of one state, in order
 */
export function stateOf(parts: readonly RecordedState[]): State | null {
  const [first] = parts;
  const isComplete = parts.every(
    ({ below, part, parts: all }, n) => below === first!.below && part === n + 1 && all === parts.length,
  );
  if (!first || !isComplete) return null;
  const state = new State();
  const pieces = new Map<string, { kind: Kind; id: string; field: string; text: string }>();
  for (const [kind, id, fields, piece] of parts.flatMap((part) => part.state)) {
    if (!isKind(kind)) return null;
    if (typeof fields !== 'string') {
      state.put(kind, id, { ...fields });
      continue;
    }
    const place = `${kind} ${id} ${fields}`;
    const known = pieces.get(place);
    if (known) known.text += piece;
    else pieces.set(place, { kind, id, field: fields, text: piece! });
  }
  for (const { kind, id, field, text } of pieces.values()) state.change(kind, id, { [field]: JSON.parse(text) });
  return state;
}

function isKind(kind: string): kind is Kind {
  return (KINDS as readonly string[]).includes(kind);
}
