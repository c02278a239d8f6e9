// The part every wiring shares: ports in, the domain out. Which adapters stand behind the ports is the
// caller's business (embedded.ts, a simulation's world).

import type { Clock } from '../base/clock.ts'
import { isVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { Bus } from '../bus/bus.ts'
import type { Collecting } from './collection.ts'
import { runCollection } from './collection.ts'
import { runPurge } from './purging.ts'
import { LogClient } from '../log/client.ts'
import type { Mac } from '../log/guests.ts'
import { LogWriter } from '../log/writer.ts'
import type { Id } from '../model/id.ts'
import { idSource } from '../model/id.ts'
import type { Fact, Op } from '../model/ops.ts'
import { ObjectEngine } from '../objects/engine.ts'
import type { Compute, Hash } from '../objects/guests.ts'
import type { Objects } from '../objects/objects.ts'
import type { Tables } from '../tables/tables.ts'
import type { CollectStep } from '../objects/upkeep/collect.ts'
import type { PurgeStep, Purging } from '../versions/purge-scope.ts'
import { versionsMachine } from '../versions/machine.ts'
import { Reader } from '../versions/reader.ts'
import { VersionsService } from '../versions/service.ts'
import type { Versions } from '../versions/versions.ts'

/** So long a process may show from its caches what was purged. */
const FRESH_MS = 60_000
/** It looks at each node once: what is kept serves packs that are fetched in one piece. */
export const COLLECTOR_CACHE_BYTES: number = 4 * 1024 * 1024

export interface Ports {
  readonly tables: Tables
  readonly blob: BlobStore
  readonly bus: Bus
  readonly clock: Clock
  readonly random: Random
  readonly hash: Hash
  readonly compute: Compute
  readonly storeKey: Uint8Array
  /** Memory for nodes and small files read lately. */
  readonly cacheBytes?: number | undefined
  /** Where others can reach the bus: says which messages are ours. */
  readonly mac?: Mac | undefined
}

export interface Core {
  readonly objects: Objects
  readonly versions: Versions
  readonly ids: () => Id
  /** Deletes what nothing names, or says what that is. */
  collectGarbage(how: Collecting, signal: AbortSignal): AsyncIterable<CollectStep>
  /** Takes files out of all commits of a repo, for ever. */
  purge(how: Purging, signal: AbortSignal): AsyncIterable<PurgeStep>
  /** Hears of what is condemned or purged, also where nobody writes, until the signal. */
  keepFresh(signal: AbortSignal): Promise<void>
  /** Serves as a log writer until the signal. */
  writeLog(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export async function openCore(ports: Ports): Promise<Core> {
  const { tables, clock, random, hash } = ports
  const objects = new ObjectEngine(ports)
  const log = new LogClient<Op, Fact>(ports)
  const reader = new Reader({ tables, clock, watermark: (project) => log.watermark(project) })
  const emptyRoot = await objects.emptyTree()
  const machine = versionsMachine({ objects, reader, emptyRoot, condemnedFor: new Map() })
  const writer = new LogWriter({ ...ports, machine })
  const versions = new VersionsService({ log, tables, objects, clock, random, hash })
  const ids = idSource(clock, random)
  const upkeep = (): Parameters<typeof runCollection>[0] => {
    // Of its own: a walk over everything takes no cache from readers.
    const { store } = new ObjectEngine({ ...ports, cacheBytes: COLLECTOR_CACHE_BYTES })
    return { ...ports, versions, ids, store }
  }
  return {
    objects,
    versions,
    ids,
    collectGarbage: (how, signal) => runCollection(upkeep(), how, signal),
    purge: (how, signal) => runPurge(upkeep(), how, signal),
    keepFresh: (signal) => keepFresh(objects, clock, signal),
    writeLog: (signal) => writer.run(signal),
    close: () => log.close(),
  }
}

async function keepFresh(
  objects: Pick<Objects, 'loadCondemned'>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await objects.loadCondemned()
    } catch (error) {
      // The store is away: whoever needs it to be reached says so.
      if (!isVarveError(error)) throw error
    }
    await clock.sleep(FRESH_MS, signal)
  }
}
