// `npm run -s bench -- <name> [--small] [--json]`. Exit 0 when it ran, whatever it measured.
import type { Bench } from './bench.ts'
import { machine, printMetrics } from './bench.ts'
import { costOf } from './cost.ts'

const args = process.argv.slice(2)

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  bus: () => import('./bus.ts'),
  collect: () => import('./collect.ts'),
  'commit-latency': () =>
    args.includes('--cluster')
      ? import('./commit-latency-cluster.ts')
      : import('./commit-latency.ts'),
  diff: () => import('./diff.ts'),
  'first-output': () => import('./first-output.ts'),
  ingest: () => import('./ingest.ts'),
  insert: () => import('./insert.ts'),
  k8s: () => import('./k8s.ts'),
  list: () => import('./list.ts'),
  'log-append': () => import('./log-append.ts'),
  merge: () => import('./merge.ts'),
  'old-version': () => import('./old-version.ts'),
  'one-in-many': () => import('./one-in-many.ts'),
  'one-of-10000': () => import('./one-of-10000.ts'),
  'read-back': () => import('./read-back.ts'),
  requests: () => import('./requests.ts'),
  'small-files': () => import('./small-files.ts'),
  writers: () => import('./writers.ts'),
}

// As the product has it; of this process only what it starts.
process.env['NODE_OPTIONS'] ??= '--max-semi-space-size=16'

const name = args.find((arg) => !arg.startsWith('--'))
const load = name === undefined ? undefined : BENCHES[name]
if (!load) {
  console.error(`usage: npm run -s bench -- <${Object.keys(BENCHES).join('|')}> [--small] [--json]`)
  process.exit(2)
}
const { bench } = await load()
const job = args.indexOf('--job')
if (job > 0) {
  const work = bench.jobs?.[args[job + 1] ?? '']
  if (!work) throw new Error(`${bench.name} has no job "${args[job + 1]}"`)
  const done = await costOf(() => work(JSON.parse(args[job + 2] ?? 'null') as never))
  if (process.send) process.send(done, () => process.exit(0))
  else console.log(done)
  await new Promise(() => {})
}
const metrics = await bench.run({ small: args.includes('--small'), args })
printMetrics(bench, metrics)
if (args.includes('--json')) {
  const rows = metrics.map(({ peer, ...m }) => ({
    ...m,
    peer: peer?.name ?? null,
    ratio: peer ? m.value / peer.value : null,
  }))
  console.log(JSON.stringify({ bench: bench.name, metrics: rows, machine: machine() }))
}
process.exit(0)
