// The part every wiring shares: ports in, the domain out. Which adapters stand behind the ports is the
// caller's business (embedded.ts, a simulation's world).

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { Bus } from '../bus/bus.ts'
import type { Collecting } from './collection.ts'
import { runCollection } from './collection.ts'
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
import { versionsMachine } from '../versions/machine.ts'
import { Reader } from '../versions/reader.ts'
import { VersionsService } from '../versions/service.ts'
import type { Versions } from '../versions/versions.ts'

const COLLECTOR_CACHE_BYTES = 16 * 1024 * 1024

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
  return {
    objects,
    versions,
    ids,
    collectGarbage: (how, signal) => {
      // Of its own: a walk over everything takes no cache from readers.
      const { store } = new ObjectEngine({ ...ports, cacheBytes: COLLECTOR_CACHE_BYTES })
      return runCollection({ ...ports, versions, ids, store }, how, signal)
    },
    writeLog: (signal) => writer.run(signal),
    close: () => log.close(),
  }
}
