/*
 * Part of `npm run lint`: the words that docs/glossary.md replaces may not appear in identifiers, comments, messages or
 * documents.
 */
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Words that are not used, and the term of the glossary to use instead. */
const REPLACED = {
  trail: 'audit log',
  inbox: 'outbox',
  bell: 'notifier',
  lane: 'BatchQueue',
  purse: 'balance',
  refusal: 'denial of a known key, or rejection',
  standing: 'authorization state, or RateLimitStatus',
  answer: 'response',
  callerGuard: 'callerBasis',
  event_batch: 'outbox',
};

/** Documents that are quoted word for word, and the files that list the words themselves. */
const QUOTES = [
  /^test\/sources\//,
  /^docs\/sources\.md$/,
  /^libs\/tlog\/note\.spec\.ts$/,
  /^test\/architecture\/vocabulary\./,
];
/** What a user types at a prompt, and what a thread returns, may be called an answer. */
const ANSWERS = [/^apps\/cli\/remote\/(ask|confirm)\.ts$/, /^libs\/auth\/password-strength/, /^test\/(cli|launcher)\//];

/** @returns one line for each word, with the place and the term to use instead */
export function findReplacedWords(path: string, text: string): string[] {
  if (QUOTES.some((pattern) => pattern.test(path))) return [];
  return Object.entries(REPLACED)
    .filter(([word]) => word !== 'answer' || !ANSWERS.some((pattern) => pattern.test(path)))
    .flatMap(([word, term]) =>
      Array.from(text.matchAll(patternOf(word)), ({ 0: found, index }) => {
        const line = text.slice(0, index).split('\n').length;
        return `${path}:${line}: "${found}": say "${term}" (docs/glossary.md)`;
      }),
    );
}

/**
 * Matches the word by itself, in the plural, or as a part of an identifier: `trail`, `trails`, `inTrail`, `trailOf`.
 */
function patternOf(word: string): RegExp {
  const capital = word.charAt(0).toUpperCase() + word.slice(1);
  return new RegExp(`(?<![A-Za-z])${word}(s|es)?(?![a-z])|${capital}(s|es)?(?![a-z])`, 'g');
}

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, '../..');
  const files = execFileSync('git', ['ls-files', '*.ts', '*.tsx', '*.mjs', '*.py', '*.md', '*.sql', '.env.example'], {
    cwd: root,
    encoding: 'utf8',
  });
  const found = files
    .trim()
    .split('\n')
    .flatMap((path) => findReplacedWords(path, readFileSync(join(root, path), 'utf8')));
  for (const line of found) console.error(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
