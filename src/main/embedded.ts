// The whole product in one process, on SQLite, local files and child processes: what a newcomer meets.

import { availableParallelism } from 'node:os'
import { toHex } from '../base/bytes.ts'
import { systemClock as clock } from '../base/clock.ts'
import { systemRandom as random } from '../base/random.ts'
import { TOPICS } from '../bus/bus.ts'
import { EgressHost } from '../egress/host.ts'
import { ProcessRunner } from '../exec/adapters/process/runner.ts'
import { DiskScratch } from '../exec/adapters/process/scratch.ts'
import { Metrics } from '../observe/metrics.ts'
import type { Pipelines } from '../pipelines/service.ts'
import { registryRoutes } from '../server/registry.ts'
import { createServer } from '../server/server.ts'
import { workerRoutes, workerTokenIssuer } from '../server/worker-routes.ts'
import { SpoutHost } from '../spouts/host.ts'
import { runRetention } from '../versions/retention.ts'
import type { Versions } from '../versions/versions.ts'
import { CONNECTORS } from './connectors.ts'
import { openCore } from './core.ts'
import { consoleFolder } from './console-folder.ts'
import { openDataFolder } from './data-folder.ts'
import { eventViews, streamDocuments } from './documents.ts'
import { openEmbeddedPorts } from './embedded-ports.ts'
import { Keeper } from './keep.ts'
import { otherRootsOf } from './other-roots.ts'
import { makeWorkshop } from './pipelines.ts'
import { resolveSecret } from './secret.ts'
import { tally } from './tally.ts'
import { VERSION } from './version.ts'

const DEFAULT_PORT = 7070

export interface EmbeddedOptions {
  /** The data folder; made when it is not there. */
  readonly data: string
  /** Takes away what earlier servers left in it. */
  readonly fresh?: boolean
  /** Default: loopback. */
  readonly host?: string
  /** 0: any free one. Default 7070; the next free one when it is taken. */
  readonly port?: number
  /** Instead of the one made for the data folder. */
  readonly token?: string | undefined
  /** Signs the tokens of workers elsewhere; default: what is made for the data folder. */
  readonly clusterSecret?: string | undefined
  /** Datums worked on at once; default: one a core. */
  readonly workers?: number | undefined
  readonly maxUploadBytes?: number
  /** Memory for nodes and small files read lately. */
  readonly cacheBytes?: number | undefined
}

export interface Embedded {
  readonly url: string
  readonly token: string
  readonly data: string
  readonly versions: Versions
  readonly pipelines: Pipelines
  /** Why user code does not find /pfs and has to look at PFS_ROOT, if so. */
  readonly sandboxMissing: string | undefined
  /** Rejects when a part of it cannot go on; then the process had better end. */
  readonly failed: Promise<never>
  /** Stops taking work, lets what is under way end or give up, closes what is open. */
  close(): Promise<void>
}

/** @throws VarveError DATA_IN_USE, UNAVAILABLE, DISK_FULL; whatever was opened is closed again */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  // Closed in the opposite order: the log's writer goes after everybody who proposes.
  await using opened = new AsyncDisposableStack()
  const folder = await openDataFolder(options.data, options.fresh)
  opened.defer(() => folder.release())
  const ports = await openEmbeddedPorts(folder, opened, { cacheBytes: options.cacheBytes })
  // One keeper a stage: each is closed before what it stands on.
  const stage = (): Keeper => {
    const keeper = new Keeper()
    opened.defer(() => keeper.close())
    return keeper
  }

  const core = await openCore(ports)
  opened.defer(() => core.close())
  const { versions, ids } = core
  const writing = stage()
  writing.run((signal) => core.writeLog(signal))
  writing.run((signal) => core.keepFresh(signal))
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  const runner = await ProcessRunner.open({ codeRoot: process.cwd(), path })
  opened.defer(() => runner.close())
  const workshop = makeWorkshop(ports, core, {
    runner,
    scratch: new DiskScratch({ root: folder.scratchFolder }),
    workers: options.workers ?? availableParallelism(),
  })
  opened.defer(() => workshop.close())
  const metrics = new Metrics()
  opened.defer(() => metrics.close())
  const hosting = { versions, connectors: CONNECTORS, clock, random, secret: resolveSecret }
  const spouts = new SpoutHost(hosting)
  const egresses = new EgressHost(hosting)
  const token = options.token ?? folder.token
  const forWorkers = {
    secret: options.clusterSecret ?? toHex(folder.storeKey),
    clock,
    ids,
  }
  const server = await createServer({
    issueWorkerToken: workerTokenIssuer(forWorkers),
    extensions: [
      workerRoutes({ ...forWorkers, desk: workshop.api }),
      registryRoutes({ topic: TOPICS.events, version: VERSION }),
    ],
    versions,
    pipelines: workshop.pipelines,
    spouts,
    egresses,
    pools: { all: () => workshop.pools.status(), reported: true },
    documents: streamDocuments(CONNECTORS),
    eventsOf: eventViews,
    otherRoots: otherRootsOf(ports, versions),
    collectGarbage: core.collectGarbage,
    purge: core.purge,
    clock,
    ids,
    version: VERSION,
    token,
    metrics: () => metrics.text(),
    ...(options.maxUploadBytes ? { maxUploadBytes: options.maxUploadBytes } : {}),
    ...consoleFolder(),
  })
  opened.defer(() => server.close())

  await workshop.start()
  const hosts = stage()
  hosts.run((signal) => spouts.run(signal))
  hosts.run((signal) => egresses.run(signal))
  hosts.run((signal) => runRetention({ versions, clock, random }, signal))
  hosts.run((signal) => tally(versions, metrics, signal))
  const host = options.host ?? '127.0.0.1'
  const url = await server.start({ host, port: options.port ?? DEFAULT_PORT })
  await folder.publishServer(url)

  const failed = Promise.race([writing.failed, hosts.failed])
  failed.catch(() => {}) // whoever cares races it
  const all = opened.move()
  return {
    url,
    token,
    data: folder.path,
    versions,
    pipelines: workshop.pipelines,
    sandboxMissing: runner.sandboxMissing,
    failed,
    close: () => all.disposeAsync(),
  }
}
