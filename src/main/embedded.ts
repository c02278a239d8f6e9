// The whole product in one process, on SQLite, local files and child processes: what a newcomer meets.

import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { fileConnector } from '../../connectors/file/connector.ts'
import { kafkaConnector } from '../../connectors/kafka/connector.ts'
import { systemClock as clock } from '../base/clock.ts'
import { systemRandom as random } from '../base/random.ts'
import { DiskBlobStore } from '../blob/adapters/disk.ts'
import { MemoryBus } from '../bus/adapters/memory.ts'
import type { Connector } from '../connector/mod.ts'
import { EgressHost } from '../egress/host.ts'
import { LoopPools } from '../exec/adapters/loops/pools.ts'
import { ProcessRunner } from '../exec/adapters/process/runner.ts'
import { DiskScratch } from '../exec/adapters/process/scratch.ts'
import { LOG_TABLES } from '../log/tables.ts'
import { Metrics } from '../observe/metrics.ts'
import { Board } from '../pipelines/board.ts'
import { LogStore } from '../pipelines/logs.ts'
import { PIPELINES_TABLES, PipelineService } from '../pipelines/pipeline-service.ts'
import { Planner } from '../pipelines/planner.ts'
import { WorkQueue } from '../pipelines/queue.ts'
import { Recorder } from '../pipelines/recorder.ts'
import { Scheduler } from '../pipelines/scheduler.ts'
import type { Pipelines } from '../pipelines/service.ts'
import { WorkRows } from '../pipelines/work.ts'
import { createServer } from '../server/server.ts'
import { WorkDesk } from '../server/work.ts'
import { SpoutHost } from '../spouts/host.ts'
import { SqliteTables } from '../tables/adapters/sqlite.ts'
import { VERSIONS_TABLES } from '../versions/tables.ts'
import type { Versions } from '../versions/versions.ts'
import { Agent } from '../worker/agent.ts'
import { openHash, zstdCompute } from './compute.ts'
import { openCore } from './core.ts'
import { openDataFolder } from './data-folder.ts'
import { eventViews, streamDocuments } from './documents.ts'
import { resolveSecret } from './secret.ts'
import { tally } from './tally.ts'
import { VERSION } from './version.ts'

const CONNECTORS: readonly Connector[] = [fileConnector, kafkaConnector]
const DEFAULT_PORT = 7070
const POOL = 'embedded'

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
  /** Datums worked on at once; default: one a core. */
  readonly workers?: number | undefined
  readonly maxUploadBytes?: number
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

/** @throws VarveError DATA_IN_USE, UNAVAILABLE, DISK_FULL */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const folder = await openDataFolder(options.data, options.fresh)
  const tables = await SqliteTables.open(folder.tablesFile, [
    ...LOG_TABLES,
    ...VERSIONS_TABLES,
    ...PIPELINES_TABLES,
  ])
  const blob = await DiskBlobStore.open(folder.blobsFolder)
  const bus = new MemoryBus({ clock })
  const hash = await openHash()
  const storeKey = folder.storeKey
  const core = await openCore({
    tables,
    blob,
    bus,
    clock,
    random,
    hash,
    compute: zstdCompute,
    storeKey,
  })
  const { versions, ids, objects } = core
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  const runner = await ProcessRunner.open({ codeRoot: process.cwd(), path })
  const scratch = new DiskScratch({ root: folder.scratchFolder })
  const workers = options.workers ?? availableParallelism()

  const board = new Board({ versions, clock })
  const rows = new WorkRows({ tables, clock, random })
  const planner = new Planner({ versions, runner, hash, workers: () => workers })
  const queue = new WorkQueue({ board, versions, rows, tables, bus, clock })
  const logs = new LogStore({ objects, tables, bus, clock, random })
  const scheduler = new Scheduler({ board, versions, planner, rows, clock, ids })
  // Workers of an earlier run of this process are dead: nobody else works on this data folder.
  const incarnation = ids()
  const isGone = (owner: string): boolean => !owner.startsWith(incarnation)
  const recorder = new Recorder({ board, versions, rows, tables, bus, clock, ids, isGone })
  const pipelines = new PipelineService({ board, versions, planner, rows, logs, bus, clock })
  const desk = new WorkDesk({ queue, logs, versions })
  const pools = new LoopPools({
    start: (pool, index, signal) =>
      new Agent({
        api: desk,
        runner,
        scratch,
        clock,
        worker: `${incarnation}-${pool}-${index}`,
      }).run(signal),
  })
  const metrics = new Metrics()
  const token = options.token ?? folder.token
  const spouts = new SpoutHost({
    versions,
    connectors: CONNECTORS,
    clock,
    random,
    secret: resolveSecret,
  })
  const egresses = new EgressHost({
    versions,
    connectors: CONNECTORS,
    clock,
    random,
    secret: resolveSecret,
  })
  const consoleFolder = resolve(import.meta.dirname, '../../dist/console')
  const server = await createServer({
    versions,
    pipelines,
    spouts,
    egresses,
    documents: streamDocuments(CONNECTORS),
    eventsOf: eventViews,
    clock,
    ids,
    version: VERSION,
    token,
    metrics: () => metrics.text(),
    ...(options.maxUploadBytes ? { maxUploadBytes: options.maxUploadBytes } : {}),
    ...(existsSync(join(consoleFolder, 'index.html')) ? { consoleFolder } : {}),
  })

  // In the order they are needed, stopped in the opposite one: writers of the log go last.
  const writing = new AbortController()
  const serving = new AbortController()
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {}) // whoever cares races it
  const guard = (work: Promise<unknown>): Promise<unknown> => work.catch(failure.reject)
  const log = guard(core.writeLog(writing.signal))
  await board.start(serving.signal)
  scheduler.start(serving.signal)
  recorder.start(serving.signal)
  queue.start(serving.signal)
  await pools.apply({ id: POOL, size: workers })
  const hosts = [
    guard(spouts.run(serving.signal)),
    guard(egresses.run(serving.signal)),
    guard(tally(versions, metrics, serving.signal)),
  ]
  const host = options.host ?? '127.0.0.1'
  const url = await server.start({ host, port: options.port ?? DEFAULT_PORT })
  await folder.publishServer(url)

  return {
    url,
    token,
    data: folder.path,
    versions,
    pipelines,
    sandboxMissing: runner.sandboxMissing,
    failed: failure.promise,
    async close() {
      await server.close()
      serving.abort()
      await Promise.all([pools.close(), ...hosts])
      await pipelines.close()
      await runner.close()
      metrics.close()
      writing.abort()
      await log
      await core.close()
      await tables.close()
      await folder.release()
    },
  }
}
