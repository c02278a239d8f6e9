// Pools of workers on Kubernetes, kept for the work there is: one process of the cluster does it at a time.

import { createHash } from 'node:crypto'
import type { PoolSettings } from '../config/pool-settings.ts'
import { connectKubernetes } from '../exec/adapters/kubernetes/client.ts'
import { boundOf } from '../exec/adapters/kubernetes/bound.ts'
import type { Bound } from '../exec/adapters/kubernetes/bound.ts'
import { poolOf } from '../exec/adapters/kubernetes/pool-of.ts'
import { KubernetesPools } from '../exec/adapters/kubernetes/pools.ts'
import { serviceTypesOf } from '../exec/adapters/kubernetes/settings.ts'
import type { Abilities } from '../model/spec-abilities.ts'
import { DEFAULT_LABEL_KEYS } from '../model/spec-abilities.ts'
import type { PoolStatus } from '../model/pool-status.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import { Census } from '../pipelines/census.ts'
import { Foreman } from '../pipelines/foreman.ts'
import { PoolBook } from '../pipelines/pool-book.ts'
import type { PoolKeeping } from '../pipelines/queue.ts'
import { workerTokenIssuer } from '../server/worker-routes.ts'
import type { Own } from '../versions/row-runners.ts'
import type { Core, Ports } from './core.ts'
import type { Ground } from './pipelines.ts'

/** Much longer than a pool goes without its token being renewed. */
const TOKEN_SECONDS = 90 * 86_400

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function abilitiesOf(settings: PoolSettings): Abilities {
  const { root = false, labelKeys = DEFAULT_LABEL_KEYS, prices } = settings
  const serviceTypes = serviceTypesOf(settings)
  return { runs: 'pods', root, labelKeys, serviceTypes, prices: prices !== undefined }
}

/** The most a pipeline may come to. */
export function boundsOf(settings: PoolSettings) {
  return (project: string, spec: PipelineSpec): Bound => boundOf(project, spec, settings)
}

function bookOf(ports: Ports, core: Core, ground: Ground): PoolBook {
  const { tables, clock, random } = ports
  return new PoolBook({ tables, clock, random, rows: ground.rows, ids: core.ids })
}

/** For a server that hands out work. */
export function poolKeeping(
  ports: Ports,
  core: Core,
  ground: Ground,
  settings: PoolSettings,
): PoolKeeping {
  // Specs of a plan are read once and stay the same objects.
  const known = new WeakMap<PipelineSpec, { readonly pool: string | undefined }>()
  return {
    book: bookOf(ports, core, ground),
    poolOf(project, spec) {
      const found = known.get(spec) ?? { pool: poolOf(project, spec, settings, digest) }
      known.set(spec, found)
      return found.pool
    },
  }
}

export interface KeptPools {
  /** Keeps the pools while this process owns them, until the signal. */
  run(signal: AbortSignal): Promise<void>
  /** Undefined while another process keeps them, or this one knows nothing of them yet. */
  status(): readonly PoolStatus[] | undefined
}

/** @throws VarveError MISCONFIGURED: there is no cluster, or no way to log in to it */
export async function openPools(
  ports: Ports,
  core: Core,
  ground: Ground,
  options: {
    readonly settings: PoolSettings
    readonly clusterSecret: string
    readonly own: Own
  },
): Promise<KeptPools> {
  const { bus, clock, random } = ports
  const { settings, own, clusterSecret } = options
  const client = await connectKubernetes()
  const issue = workerTokenIssuer({ secret: clusterSecret, clock, ids: core.ids })
  const book = bookOf(ports, core, ground)
  let kept: KubernetesPools | undefined
  return {
    status: () => (kept?.isInformed ? kept.status() : undefined),
    run: (signal) =>
      own('all', signal, async (ours) => {
        const census = new Census({ ...ground, versions: core.versions, bus, clock })
        const sign = (pool: string, incarnation: string): string =>
          issue(pool, TOKEN_SECONDS, incarnation).token
        const foreman = new Foreman({ census, book, sign })
        const pools = new KubernetesPools({ client, foreman, settings, clock, random, digest })
        kept = pools
        try {
          await Promise.all([pools.run(ours), census.run(() => pools.ring(), ours)])
        } finally {
          kept = undefined
        }
      }),
  }
}
