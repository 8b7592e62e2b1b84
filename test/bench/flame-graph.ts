import { readFileSync } from 'node:fs';

/** The parts of a profile of V8 that a flame graph needs. Times are in microseconds of the monotonic clock. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** A function as it was called from the same callers, with the time that it and its callees took. */
interface Frame {
  readonly name: string;
  readonly callees: Map<string, Frame>;
  time: number;
}

const WIDTH = 1200;
const LINE = 17;
/** Of all time. Shorter ones would not be visible. */
const SMALLEST_SHARE = 0.004;
const CHARACTER_WIDTH = 6.1;
const COLORS = { ours: '#9fd3a8', package: '#f2cf8d', node: '#a9c6ea', other: '#d9d9d9' };

/** Draws a profile as SVG, callers above callees: each frame is as wide as its share of the CPU time. */
export function flameGraph(file: string, within: readonly [begin: number, end: number], title: string): string {
  const root = framesOf(JSON.parse(readFileSync(file, 'utf8')) as Profile, within);
  const drawn = draw(root, 0, 0, WIDTH / root.time, root.time);
  const height = Math.max(...drawn.map(({ depth }) => depth + 2)) * LINE;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
<text x="4" y="12">${escaped(title)}. Green: Keyledger. Yellow: packages. Blue: Node.js. Grey: the rest.</text>
${drawn.map(({ svg }) => svg).join('\n')}
</svg>
`;
}

/** Reads the samples within a time, without those of an idle process. */
function framesOf({ nodes, samples, timeDeltas, startTime }: Profile, [begin, end]: readonly [number, number]): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const root: Frame = { name: 'all', callees: new Map(), time: 0 };
  let at = startTime;
  for (const [index, sample] of samples.entries()) {
    const took = timeDeltas[index]!;
    at += took;
    if (at < begin || at > end || byId.get(sample)!.callFrame.functionName === '(idle)') continue;
    const stack: string[] = [];
    for (let id = sample; callers.has(id); id = callers.get(id)!) stack.unshift(nameOf(byId.get(id)!.callFrame));
    let frame = root;
    frame.time += took;
    for (const name of stack) {
      if (!frame.callees.has(name)) frame.callees.set(name, { name, callees: new Map(), time: 0 });
      frame = frame.callees.get(name)!;
      frame.time += took;
    }
  }
  return root;
}

function nameOf({ functionName, url }: Profile['nodes'][number]['callFrame']): string {
  const file = url.replace(/^.*\/(?:dist|node_modules)\//, '');
  return `${functionName || 'anonymous'}${file && ` ${file}`}`;
}

function draw(frame: Frame, depth: number, x: number, scale: number, all: number): { depth: number; svg: string }[] {
  const width = frame.time * scale;
  const share = `${((100 * frame.time) / all).toFixed(1)} %`;
  const text = frame.name.replace(/ .*\//, ' ').slice(0, Math.floor((width - 4) / CHARACTER_WIDTH));
  const y = (depth + 1) * LINE;
  const box = `<rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(width - 0.5, 0.5).toFixed(1)}" height="${LINE - 1}" fill="${colorOf(frame.name)}"/>`;
  const label = text.length > 2 ? `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escaped(text)}</text>` : '';
  const own = { depth, svg: `<g><title>${escaped(`${frame.name}, ${share}`)}</title>${box}${label}</g>` };
  const below = [...frame.callees.values()]
    .toSorted((one, other) => other.time - one.time)
    .filter(({ time }) => time >= SMALLEST_SHARE * all);
  let left = x;
  return [own].concat(
    ...below.map((callee) => {
      const drawn = draw(callee, depth + 1, left, scale, all);
      left += callee.time * scale;
      return drawn;
    }),
  );
}

function colorOf(name: string): string {
  const file = name.slice(name.indexOf(' ') + 1);
  if (/^(libs|apps)\//.test(file)) return COLORS.ours;
  if (file.startsWith('node:')) return COLORS.node;
  return file.includes('/') ? COLORS.package : COLORS.other;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
