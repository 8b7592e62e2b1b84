import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { readConfig, settings } from '#libs/platform/config.js';
import { builtModule } from '../support/built-module.js';
import { describeWith } from '../support/left-out.js';

const { commandLine } = await builtModule<typeof import('../../apps/cli/command-line.js')>(
  '../../apps/cli/command-line.js',
);
const DEPLOYMENT = join(import.meta.dirname, '../../docs/deployment');
const read = (file: string) => readFileSync(join(DEPLOYMENT, file), 'utf8');

const readme = read('README.md');
const unit = read('systemd/keyledger@.service');
const commands = commandLine(process, () => undefined).commands.map((command) => command.name());
const secrets = { DATABASE_URL: 'postgres://api:x@postgres:5432/keyledger', KEYLEDGER_SECRET: 'x'.repeat(32) };

describe('the commands of docs/deployment/README.md', () => {
  it('exist in the command line', () => {
    const blocks = Array.from(readme.matchAll(/^```sh\n(.*?)^```/gms), ([, block]) => block).join('');
    const called = Array.from(
      blocks.matchAll(/(?:keyledger@|^keyledger +|bin\/keyledger +)(\w+)/gm),
      ([, name]) => name!,
    );
    const tabled = Array.from(readme.matchAll(/^\| `keyledger (\w+)`/gm), ([, name]) => name!);
    expect(called).toEqual(expect.arrayContaining(['up', 'api', 'worker', 'migrate']));
    expect(tabled).toEqual(['up', 'migrate', 'api', 'worker']);
    for (const name of [...called, ...tabled]) expect(commands).toContain(name);
  });
});

describeWith(
  'systemd-analyze',
  ['--version'],
  'the systemd unit was not checked',
  'apt-get install systemd',
)('keyledger@.service', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyledger-systemd-'));
    // systemd-analyze demands that the program exists.
    await writeFile(
      join(directory, 'keyledger@.service'),
      unit.replace('/opt/keyledger/bin/keyledger', process.execPath),
    );
  });

  afterAll(() => rm(directory, { recursive: true }));

  const analyze = (...args: string[]) => {
    const { status, stderr } = spawnSync('systemd-analyze', args, { cwd: directory, encoding: 'utf8' });
    return { status, stderr };
  };

  it.each(['up', 'api', 'worker'])('is understood by systemd in full, as keyledger@%s', (name) => {
    expect(analyze('verify', join(directory, `keyledger@${name}.service`))).toEqual({ status: 0, stderr: '' });
  });

  it('exposes little to a process that an attacker controls', () => {
    const file = join(directory, 'keyledger@.service');
    expect(analyze('security', '--offline=true', '--threshold=15', file)).toMatchObject({ status: 0 });
  });

  it('leaves the settings to their file, keeps its data, and starts the program where README.md installs it', () => {
    const names = Array.from(unit.matchAll(/^Environment=(\w+)=/gm), ([, name]) => name!);
    expect(names).toEqual(['NODE_ENV', 'NODE_COMPILE_CACHE']);
    // The file of the settings has precedence, and that of README.md names a folder relative to this one.
    expect(/^WorkingDirectory=%S\/(.*)$/m.exec(unit)![1]).toBe(/^StateDirectory=(.*)$/m.exec(unit)![1]);
    expect(unit).toContain('\nExecStart=/opt/keyledger/bin/keyledger %i\n');
    expect(readme).toContain('--prefix /opt/keyledger ');
    expect(readme).toContain(/^EnvironmentFile=(.*)$/m.exec(unit)![1]);
  });
});

/** The fields of the Kubernetes API that the manifests use. Any other is an error: a cluster may drop a misspelt one. */
const Labels = z.record(z.string().regex(/^app\.kubernetes\.io\/(name|component)$/), z.string());
const Metadata = z.strictObject({ name: z.string().regex(/^keyledger/), labels: Labels });
const Probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string(), port: z.string() }),
  periodSeconds: z.int(),
  timeoutSeconds: z.int().optional(),
  failureThreshold: z.int().optional(),
});
const OfSecret = z.strictObject({
  name: z.string(),
  valueFrom: z.strictObject({ secretKeyRef: z.strictObject({ name: z.literal('keyledger'), key: z.string() }) }),
});
const Container = z.strictObject({
  name: z.enum(['api', 'worker', 'migrate']),
  image: z.string(),
  command: z.array(z.string()),
  envFrom: z.tuple([z.strictObject({ configMapRef: z.strictObject({ name: z.literal('keyledger') }) })]).optional(),
  env: z.array(OfSecret),
  ports: z.array(z.strictObject({ name: z.string(), containerPort: z.int() })).default([]),
  startupProbe: Probe.optional(),
  livenessProbe: Probe.optional(),
  readinessProbe: Probe.optional(),
  lifecycle: z
    .strictObject({ preStop: z.strictObject({ exec: z.strictObject({ command: z.array(z.string()) }) }) })
    .optional(),
  resources: z.strictObject({
    requests: z.strictObject({ cpu: z.string().regex(/^\d+m$/), memory: z.string().regex(/^\d+Mi$/) }),
    limits: z.strictObject({ memory: z.string().regex(/^\d+[MG]i$/) }),
  }),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  volumeMounts: z.array(z.strictObject({ name: z.string(), mountPath: z.string() })).default([]),
});
const Pod = z.strictObject({
  metadata: z.strictObject({ labels: Labels }),
  spec: z.strictObject({
    restartPolicy: z.literal('Never').optional(),
    automountServiceAccountToken: z.literal(false),
    enableServiceLinks: z.literal(false),
    terminationGracePeriodSeconds: z.int().optional(),
    securityContext: z.strictObject({
      runAsNonRoot: z.literal(true),
      runAsUser: z.int().min(1),
      runAsGroup: z.int().min(1),
      fsGroup: z.int().min(1).optional(),
      seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
    }),
    containers: z.tuple([Container]),
    volumes: z
      .array(z.strictObject({ name: z.string(), persistentVolumeClaim: z.strictObject({ claimName: z.string() }) }))
      .default([]),
  }),
});
const Selector = z.strictObject({ matchLabels: Labels });
const kind = <K extends string, V extends string, S extends z.ZodRawShape>(name: K, version: V, shape: S) =>
  z.strictObject({ apiVersion: z.literal(version), kind: z.literal(name), metadata: Metadata, ...shape });
const Manifest = z.discriminatedUnion('kind', [
  kind('ConfigMap', 'v1', { data: z.record(z.string(), z.string()) }),
  kind('Job', 'batch/v1', { spec: z.strictObject({ backoffLimit: z.int(), template: Pod }) }),
  kind('Deployment', 'apps/v1', {
    spec: z.strictObject({ replicas: z.int().min(1), selector: Selector, template: Pod }),
  }),
  kind('PersistentVolumeClaim', 'v1', {
    spec: z.strictObject({
      accessModes: z.tuple([z.literal('ReadWriteMany')]),
      resources: z.strictObject({ requests: z.strictObject({ storage: z.string().regex(/^\d+Gi$/) }) }),
    }),
  }),
  kind('Service', 'v1', {
    spec: z.strictObject({
      selector: Labels,
      ports: z.array(z.strictObject({ name: z.string(), port: z.int(), targetPort: z.string() })),
    }),
  }),
  kind('PodDisruptionBudget', 'policy/v1', {
    spec: z.strictObject({ minAvailable: z.int(), selector: Selector }),
  }),
]);

describe('the manifests for Kubernetes', () => {
  const files = globSync('kubernetes/*.yaml', { cwd: DEPLOYMENT });
  const manifests = files.flatMap((file) =>
    parseAllDocuments(read(file)).map((document) => Manifest.parse(document.toJS(), { reportInput: true })),
  );
  const ofKind = <K extends (typeof manifests)[number]['kind']>(name: K) =>
    manifests.filter((manifest): manifest is Extract<typeof manifest, { kind: K }> => manifest.kind === name);
  const workloads = [...ofKind('Deployment'), ...ofKind('Job')];
  const pods = workloads.map(({ spec }) => spec.template);
  const containers = pods.map(({ spec }) => spec.containers[0]);
  const given = ofKind('ConfigMap')[0]!.data;

  it('set only settings that exist, to values that are accepted', () => {
    const names = containers.flatMap(({ env }) => env.map(({ name }) => name));
    expect(Object.keys(settings.shape)).toEqual(expect.arrayContaining([...names, ...Object.keys(given)]));
    expect(readConfig({ ...given, ...secrets, REDIS_URL: 'redis://redis:6379' }).settings.METRICS_PORT).toBe(9464);
  });

  it('take from the secret what README.md puts into it', () => {
    const used = containers.flatMap(({ env }) => env.map(({ valueFrom }) => valueFrom.secretKeyRef.key));
    const made = Array.from(readme.matchAll(/--from-literal=(\w+)=/g), ([, name]) => name!);
    expect(made.toSorted()).toEqual([...new Set(used)].toSorted());
  });

  it('start the same programs as docker-compose.yml', () => {
    const { services } = parse(read('../../docker-compose.yml'), { merge: true }) as {
      services: Record<string, { command: string[] }>;
    };
    expect(containers.map(({ name }) => name).toSorted()).toEqual(['api', 'migrate', 'worker']);
    for (const { name, command } of containers) expect(command).toEqual(services[name]!.command);
    expect(new Set(containers.map(({ image }) => image)).size).toBe(1);
  });

  it('ask each process that serves whether it is alive, on a port that it has', () => {
    const pages: Record<string, string[]> = {
      api: ['/health/live', '/health/live', '/health/ready'],
      worker: ['/metrics', '/metrics'],
    };
    const ports = { http: 3000, metrics: Number(given['METRICS_PORT']) };
    for (const { name, ports: own, startupProbe, livenessProbe, readinessProbe } of containers) {
      for (const { name: port, containerPort } of own) expect(ports).toHaveProperty(port, containerPort);
      const probes = [startupProbe, livenessProbe, readinessProbe].flatMap((probe) => probe?.httpGet ?? []);
      expect(probes.map(({ path }) => path)).toEqual(pages[name] ?? []);
      for (const { port } of probes) expect(own.map((known) => known.name)).toContain(port);
    }
  });

  it('select the pods that they make, and mount the volume of the anchor', () => {
    for (const { spec } of ofKind('Deployment'))
      expect(spec.selector.matchLabels).toEqual(spec.template.metadata.labels);
    const [api] = ofKind('Deployment').filter(({ metadata }) => metadata.name === 'keyledger-api');
    const { labels } = api!.spec.template.metadata;
    expect(ofKind('Service').map(({ spec }) => spec.selector)).toEqual([labels]);
    expect(ofKind('PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels)).toEqual([labels]);
    const {
      containers: [container],
      volumes,
    } = api!.spec.template.spec;
    expect(volumes.map(({ persistentVolumeClaim }) => persistentVolumeClaim.claimName)).toEqual(
      ofKind('PersistentVolumeClaim').map(({ metadata }) => metadata.name),
    );
    const mount = container.volumeMounts.find(({ name }) => name === volumes[0]!.name)!;
    expect(given['ANCHOR_FILE']).toBe(`${mount.mountPath}/audit-anchor`);
  });
});
