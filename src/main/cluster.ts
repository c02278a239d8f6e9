// One process of a cluster: the named roles over Kafka, Cassandra and a blob store. Any number of
// processes may have any role. Proposals are spread by the bus; what else must not be done twice for
// nothing is owned by leases; two owners at once waste effort and break nothing.

import { systemClock as clock } from '../base/clock.ts'
import { systemRandom as random } from '../base/random.ts'
import { utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { BlobStore } from '../blob/blob.ts'
import { TOPICS } from '../bus/bus.ts'
import { TOPIC_SPECS } from '../bus/topics.ts'
import type { TopicSpec } from '../bus/topics.ts'
import type { Role } from '../config/options.ts'
import { readPoolSettings } from '../config/pool-settings.ts'
import type { PoolSettings } from '../config/pool-settings.ts'
import { EgressHost } from '../egress/host.ts'
import { tellPoolNews } from '../events/pool-news.ts'
import { EventPublisher } from '../events/publisher.ts'
import { partitionOf } from '../kafka/murmur2.ts'
import type { Abilities } from '../model/spec-abilities.ts'
import { Metrics } from '../observe/metrics.ts'
import { OwnedShare, ownIn } from '../pipelines/share.ts'
import { Health } from '../server/health.ts'
import { createHealthServer } from '../server/health-server.ts'
import { registryRoutes } from '../server/registry.ts'
import { createServer } from '../server/server.ts'
import { SpoutTokens } from '../server/spout-token.ts'
import { workerRoutes, workerTokenIssuer } from '../server/worker-routes.ts'
import { SpoutHost } from '../spouts/host.ts'
import { runRetention } from '../versions/retention.ts'
import { codeElsewhere } from './code-identity.ts'
import { openHash, zstdCompute } from './compute.ts'
import { CONNECTORS } from './connectors.ts'
import { consoleFolder } from './console-folder.ts'
import { openCore } from './core.ts'
import type { Core, Ports } from './core.ts'
import { NAMES, openDependencies } from './dependencies.ts'
import type { Dependencies, ServeOptions } from './dependencies.ts'
import { tellDependencies } from './dependency-news.ts'
import { eventViews, streamDocuments } from './documents.ts'
import { Keeper } from './keep.ts'
import { sweepLeftovers } from './leftovers.ts'
import { clusterMac } from './mac.ts'
import { otherRootsOf } from './other-roots.ts'
import { Ownership } from './ownership.ts'
import { layGround, openDesk, startPlanning } from './pipelines.ts'
import type { Ground } from './pipelines.ts'
import { abilitiesOf, boundsOf, openPools, poolKeeping } from './pools.ts'
import type { KeptPools } from './pools.ts'
import { openReadCache } from './read-cache.ts'
import { resolveSecret } from './secret.ts'
import { openWorkspace } from './settings.ts'
import { StatusBoard, tellPools, tellStatuses } from './status-board.ts'
import { tally } from './tally.ts'
import { VERSION } from './version.ts'
import { watchedTables } from './watched-tables.ts'

/** Who plans cannot see how many workers there are; a pipeline says better by `parallelismSpec`. */
const WORKERS_GUESSED = 16
/** Balancers and services notice that we are not ready before we stop listening. */
const NOTICE_MS = 2_000
/** What is under way gets so long to end. */
const DRAIN_MS = 20_000

export interface Cluster {
  readonly url: string
  readonly roles: readonly Role[]
  /** Names the installation. */
  readonly workspace: string
  /** Rejects when a part of it cannot go on; then the process had better end. */
  readonly failed: Promise<never>
  /** Takes no more work, lets what is under way end for 20 s at most, closes. */
  drain(): Promise<void>
  /** At once. Nothing acknowledged is lost by either. */
  close(): Promise<void>
}

export interface ClusterGuests {
  /** A line for whoever watches the start; default: silence. */
  readonly say?: (line: string) => void
  /** Ends a start that still waits. */
  readonly signal?: AbortSignal
}

/** @throws StartFailed, VarveError INVALID_OPTION; whatever was opened is closed again */
export async function openCluster(
  options: ServeOptions,
  { say = () => undefined, signal = new AbortController().signal }: ClusterGuests = {},
): Promise<Cluster> {
  // Closed in the opposite order: the log's writer goes after everybody who proposes.
  await using opened = new AsyncDisposableStack()
  const stages: Keeper[] = []
  const stage = (): Keeper => {
    const keeper = new Keeper()
    stages.push(keeper)
    opened.defer(() => keeper.close())
    return keeper
  }
  const has = (...roles: readonly Role[]): boolean =>
    roles.some((one) => options.roles.includes(one))

  const settings = options.pools === undefined ? undefined : readPoolSettings(options.pools)
  const dependencies = await openDependencies(options, { clock, random, say, signal })
  opened.defer(() => dependencies.close())
  const workspace = await openWorkspace({ tables: dependencies.tables, clock, random }, signal)
  const cache = await openReadCache(dependencies.blob, options)
  opened.defer(() => cache.close())
  const ports = await portsOf(
    { ...dependencies, blob: cache.blob },
    workspace.storeKey,
    options.clusterSecret,
    options.cacheBytes,
  )
  const core = await openCore(ports)
  opened.defer(() => core.close())
  const incarnation = core.ids()
  const ownership = new Ownership({ tables: ports.tables, clock, random, owner: incarnation })
  const health = new Health({ clock, dependencies: dependencies.probes })
  const watching = stage()
  watching.run((until) => health.run(until))
  // The bus says so itself, and sooner.
  const silent = [NAMES.tables, NAMES.blob]
  watching.run((until) => tellDependencies(health, silent, clock, until))
  const metrics = new Metrics({ version: VERSION, roles: options.roles })
  opened.defer(() => metrics.close())
  metrics.dependencies(() => health.dependencies())
  metrics.gauge('varve_leases_held', 'Leases this process keeps', () => ownership.held)

  if (has('log')) stage().run((until) => core.writeLog(until))
  stage().run((until) => core.keepFresh(until))
  const ground = layGround(ports, core, { runner: codeElsewhere, workers: WORKERS_GUESSED })
  if (has('api', 'scheduler')) {
    const following = new AbortController()
    opened.defer(() => following.abort())
    await ground.board.start(following.signal)
  }
  const meta = {
    version: VERSION,
    live: () => health.live(),
    ready: () => health.ready(),
    metrics: () => metrics.text(),
  }
  const api = has('api')
    ? await openApi(ports, core, ground, { options, settings, health, meta, opened })
    : undefined
  const { clusterSecret } = options
  const pools =
    has('scheduler') && settings
      ? await openPools(ports, core, ground, {
          settings,
          clusterSecret,
          own: ownership.of('pools'),
        })
      : undefined
  const door = api ?? createHealthServer({ ...meta, token: options.token })
  opened.defer(() => door.close())
  const hosts = stage()
  const owned = { ownership, metrics, hosts, incarnation, workspace, pools }
  startHosts(ports, core, ground, { options, ...owned })
  if (has('scheduler')) {
    const own = ownership.of('store')
    const abort = (olderThanMs: number) => dependencies.blob.abortLeftovers(olderThanMs)
    hosts.run((until) => sweepLeftovers({ own, clock, abort }, until))
  }
  const { host, port } = options
  const url = await door.start({ host, port, tries: 1 })
  health.started()

  const failed = Promise.race(stages.map((one) => one.failed))
  failed.catch(() => {}) // whoever cares races it
  const all = opened.move()
  return {
    url,
    roles: options.roles,
    workspace: workspace.id,
    failed,
    async drain() {
      health.drain()
      const enough = new AbortController()
      const ending = Promise.all([
        api && clock.sleep(NOTICE_MS, enough.signal).then(() => api.idle()),
        hosts.close(),
      ])
      await Promise.race([ending, clock.sleep(DRAIN_MS, enough.signal)])
      enough.abort()
      await all.disposeAsync()
    },
    close: () => all.disposeAsync(),
  }
}

export async function portsOf(
  { tables, bus, blob }: Pick<Dependencies, 'tables' | 'bus'> & { readonly blob: BlobStore },
  storeKey: Uint8Array,
  clusterSecret: string,
  cacheBytes?: number,
): Promise<Ports> {
  const hash = await openHash()
  const mac = clusterMac(clusterSecret)
  const guests = { clock, random, hash, compute: zstdCompute, storeKey, mac, cacheBytes }
  return { tables: watchedTables(tables), bus, blob, ...guests }
}

async function openApi(
  ports: Ports,
  core: Core,
  ground: Ground,
  own: {
    readonly options: ServeOptions
    readonly settings: PoolSettings | undefined
    readonly health: Health
    readonly meta: Pick<
      Parameters<typeof createServer>[0],
      'version' | 'live' | 'ready' | 'metrics'
    >
    readonly opened: AsyncDisposableStack
  },
): ReturnType<typeof createServer> {
  const { options, settings, health, meta, opened } = own
  const { versions, ids } = core
  const pools = settings && poolKeeping(ports, core, ground, settings)
  const abilities: Abilities = settings
    ? abilitiesOf(settings)
    : { runs: 'process', user: undefined }
  const desk = openDesk(ports, core, ground, { abilities, pools })
  opened.defer(() => desk.close())
  const taking = new AbortController()
  opened.defer(() => taking.abort())
  desk.start(taking.signal)
  const statuses = new StatusBoard(ports)
  opened.defer(() => statuses.close())
  const { token, maxUploadBytes, advertise, topicPrefix } = options
  const topic = TOPICS.events.replace(/^varve/, topicPrefix)
  const forWorkers = { secret: options.clusterSecret, clock, ids }
  const spoutTokens = new SpoutTokens({ ...forWorkers, holds: (claim) => desk.api.holds(claim) })
  const isOpen =
    pools && ((pool: string, incarnation: string) => pools.book.isOpen(pool, incarnation))
  const workers = {
    ...forWorkers,
    desk: desk.api,
    address: () => advertise,
    isOpen,
    spoutTokens,
    maxUploadBytes,
  }
  return createServer({
    ...meta,
    versions,
    pipelines: desk.pipelines,
    spouts: statuses.spouts,
    egresses: statuses.egresses,
    ...(settings
      ? { pools: statuses.pools, boundOf: boundsOf(settings), issueWorkerToken: refuseToken }
      : {
          pools: { all: () => [desk.elsewhere()], reported: true },
          issueWorkerToken: workerTokenIssuer(forWorkers),
        }),
    documents: streamDocuments(CONNECTORS),
    eventsOf: eventViews,
    otherRoots: otherRootsOf(ports, versions),
    collectGarbage: core.collectGarbage,
    purge: core.purge,
    clock,
    ids,
    token,
    spoutTokens,
    maxUploadBytes,
    acceptWork: () => health.acceptWork(),
    extensions: [workerRoutes(workers), registryRoutes({ topic, version: VERSION })],
    ...consoleFolder(),
  })
}

function refuseToken(): never {
  throw new VarveError(
    'INVALID_OPTION',
    'cannot make a token for workers: pools on Kubernetes do the work here, and have tokens of their own',
  )
}

/** What follows the log and carries it on: planning, spouts, egress, public events. */
function startHosts(
  ports: Ports,
  core: Core,
  ground: Ground,
  own: {
    readonly options: ServeOptions
    readonly ownership: Ownership
    readonly metrics: Metrics
    readonly hosts: Keeper
    readonly incarnation: string
    readonly workspace: { readonly id: string }
    readonly pools: KeptPools | undefined
  },
): void {
  const { options, ownership, metrics, hosts, incarnation, workspace, pools } = own
  const { versions } = core
  const { bus, tables } = ports
  const has = (role: Role): boolean => options.roles.includes(role)
  const hosting = { versions, connectors: CONNECTORS, clock, random, secret: resolveSecret }
  const telling = { bus, clock, who: incarnation }
  if (has('scheduler')) {
    const share = new OwnedShare(ownership.of('scheduler'))
    hosts.run(async (until) => {
      startPlanning(ports, core, ground, { share }, until)
      await share.run(until)
    })
    const own = ownIn(share)
    hosts.run((until) => runRetention({ versions, clock, random, own }, until))
    hosts.run((until) => tally(versions, metrics, until, (project) => share.has(project)))
  }
  if (pools) {
    hosts.run((until) => pools.run(until))
    hosts.run((until) => tellPools(telling, () => pools.status(), until))
  }
  if (has('spouts')) {
    const spouts = new SpoutHost({ ...hosting, own: ownership.of('spouts') })
    hosts.run((until) => spouts.run(until))
    hosts.run((until) => tellStatuses(telling, 'spout', () => spouts.statuses(), until))
  }
  if (has('egress')) {
    const egresses = new EgressHost({ ...hosting, own: ownership.of('egress') })
    hosts.run((until) => egresses.run(until))
    hosts.run((until) => tellStatuses(telling, 'egress', () => egresses.statuses(), until))
  }
  if (has('events')) {
    const { partitions } = TOPIC_SPECS[TOPICS.events] as TopicSpec
    const publishing = {
      bus,
      clock,
      own: ownership.of('events'),
      source: `/workspaces/${workspace.id}`,
      ...(options.advertise === undefined
        ? {}
        : { registryUrl: `${options.advertise.replace(/\/$/, '')}/registry` }),
      partitionOf: (key: string) => partitionOf(utf8(key), partitions),
    }
    const publisher = new EventPublisher({ ...publishing, versions, tables })
    hosts.run((until) => publisher.run(until))
    hosts.run(async (until) => {
      const statuses = new StatusBoard(ports)
      try {
        await tellPoolNews({ ...publishing, pools: statuses.pools }, until)
      } finally {
        await statuses.close()
      }
    })
  }
}
