import MiniSearch from 'minisearch';
import type { Section } from './guide.js';
import './docs.css';

const SHOWN = 12;
/** The same as that of the dashboard, so that a choice holds in both. */
const SCHEME = 'mantine-color-scheme-value';

function applyScheme(): 'dark' | 'light' {
  const chosen = localStorage.getItem(SCHEME);
  const isDark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset['scheme'] = isDark ? 'dark' : 'light';
  return isDark ? 'dark' : 'light';
}

function offerSchemes(): void {
  const button = document.querySelector<HTMLButtonElement>('#scheme')!;
  const label = () => (button.textContent = applyScheme() === 'dark' ? 'Light colors' : 'Dark colors');
  label();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', label);
  button.hidden = false;
  button.addEventListener('click', () => {
    localStorage.setItem(SCHEME, applyScheme() === 'dark' ? 'light' : 'dark');
    label();
  });
}

/** Loaded for the first search. */
let index: Promise<(text: string) => readonly Section[]> | undefined;

async function loadIndex(): Promise<(text: string) => readonly Section[]> {
  const sections = (await (await fetch('/docs/files/search.json')).json()) as Section[];
  const search = new MiniSearch<Section>({
    fields: ['title', 'guide', 'text'],
    storeFields: ['title', 'guide'],
    searchOptions: { boost: { title: 4, guide: 2 }, prefix: true, fuzzy: 0.15, combineWith: 'AND' },
  });
  // Bound, because the name would otherwise read as that of a string's method, which makes regular expressions.
  const found = search.search.bind(search);
  search.addAll(sections);
  return (text) => found(text).slice(0, SHOWN) as unknown as Section[];
}

function offerSearch(): void {
  const input = document.querySelector<HTMLInputElement>('#search')!;
  const found = document.querySelector<HTMLElement>('#found')!;
  input.addEventListener('focus', () => void (index ??= loadIndex()));
  const search = async (text: string) => {
    const results = (await (index ??= loadIndex()))(text);
    // Another letter may have been typed meanwhile.
    if (text === input.value) show(found, text, results);
  };
  input.addEventListener('input', () => void search(input.value));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') found.hidden = true;
    const isTyping = event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== '/' || isTyping) return;
    event.preventDefault();
    input.focus();
  });
}

function show(found: HTMLElement, text: string, results: readonly Section[]): void {
  found.hidden = text.trim() === '';
  const links = results.map(({ id, guide, title }) => {
    const link = document.createElement('a');
    link.href = id;
    link.textContent = title === guide ? title : `${guide}: ${title}`;
    link.addEventListener('click', () => (found.hidden = true));
    return link;
  });
  found.replaceChildren(...(links.length > 0 ? links : ['Nothing found.']));
}

function offerCopying(): void {
  for (const block of document.querySelectorAll<HTMLElement>('pre')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Copy';
    const copy = async () => {
      await navigator.clipboard.writeText(block.querySelector('code')!.textContent);
      button.textContent = 'Copied';
    };
    button.addEventListener('click', () => void copy());
    const frame = document.createElement('div');
    frame.className = 'code';
    block.replaceWith(frame);
    frame.append(block, button);
  }
}

offerSchemes();
offerSearch();
offerCopying();
