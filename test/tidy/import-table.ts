// Who may import whom, with the reason in the order: read it top to bottom, arrows point down.
// Besides what its line names, every room may import `base` and `model` (and itself).

export interface RoomRule {
  readonly may: readonly string[] | 'all'
  /** Packages that may be imported, also with `import()`. */
  readonly vendors?: readonly string[]
  /** A core room gets time, chance, timers, disk and network given; a rim room may touch them. */
  readonly kind: 'core' | 'rim' | 'pure'
}

// pure: no node: module, so that it runs in a browser too.
export const ROOMS: Readonly<Record<string, RoomRule>> = {
  main: { may: 'all', kind: 'rim', vendors: ['commander', '@napi-rs/blake-hash', 'hash-wasm'] },
  console: {
    may: ['client', 'api'],
    kind: 'rim',
    vendors: ['react', 'react-dom', '@dagrejs/dagre', 'vite', '@vitejs/plugin-react'],
  },
  cli: { may: ['client', 'config', 'api'], kind: 'rim', vendors: ['commander', 'yaml'] },
  client: { may: ['api'], kind: 'pure' },
  api: { may: [], kind: 'pure', vendors: ['typebox'] },
  server: {
    may: [
      'api',
      'versions',
      'pipelines',
      'spouts',
      'egress',
      'events',
      'access',
      'hub',
      'config',
      'connector',
      'objects',
      'log',
    ],
    kind: 'rim',
    vendors: ['fastify', '@fastify/static', 'ajv', 'typebox', 'yaml', 'prom-client', 'pino'],
  },
  hub: { may: ['access', 'versions', 'tables'], kind: 'core' },
  access: { may: ['versions', 'tables'], kind: 'core' },
  spouts: { may: ['versions', 'connector', 'tables', 'objects'], kind: 'core' },
  egress: { may: ['versions', 'connector', 'tables', 'objects'], kind: 'core' },
  connector: { may: [], kind: 'core' },
  worker: { may: ['client', 'exec', 'api'], kind: 'core' },
  pipelines: { may: ['versions', 'objects', 'tables', 'bus', 'exec', 'log'], kind: 'core' },
  events: { may: ['versions', 'bus', 'tables', 'log'], kind: 'core', vendors: ['avsc'] },
  versions: { may: ['log', 'objects', 'tables'], kind: 'core' },
  log: { may: ['tables', 'bus', 'blob'], kind: 'core' },
  objects: { may: ['blob', 'tables'], kind: 'core' },
  exec: { may: [], kind: 'rim', vendors: ['@kubernetes/client-node'] },
  bus: { may: ['kafka'], kind: 'rim' },
  tables: { may: [], kind: 'rim', vendors: ['cassandra-driver'] },
  blob: {
    may: [],
    kind: 'rim',
    vendors: ['@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner', '@smithy/node-http-handler'],
  },
  kafka: { may: [], kind: 'rim', vendors: [] },
  config: { may: [], kind: 'rim', vendors: ['ajv', 'typebox'] },
  observe: { may: ['config'], kind: 'rim', vendors: ['pino', 'prom-client'] },
  model: { may: [], kind: 'core' },
  base: { may: [], kind: 'pure' },
}

/** What a core room may not name: it is given in. */
export const GUESTS: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\bDate\b(?!\w)/, instead: 'take a Clock (base/clock.ts)' },
  { pattern: /\bMath\.random\b/, instead: 'take a Random (base/random.ts)' },
  { pattern: /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/, instead: 'take a Clock' },
  { pattern: /(?<![.\w])fetch\(/, instead: 'take what fetches' },
  { pattern: /\bperformance\.now\b/, instead: 'take a Clock' },
  { pattern: /\bprocess\.\w/, instead: 'take an option' },
  { pattern: /(?<![.\w])crypto\./, instead: 'take a Random or a Hash' },
]
