// One life of a process of the product, wired as main/ wires it, on faulty ports.

import type { Random } from '../../src/base/random.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import type { Bus } from '../../src/bus/bus.ts'
import { LogClient } from '../../src/log/client.ts'
import type { Mac } from '../../src/log/guests.ts'
import type { Log, Machine } from '../../src/log/machine.ts'
import { LogWriter } from '../../src/log/writer.ts'
import { DEFAULT_PROJECT } from '../../src/model/name.ts'
import type { Fact, Op } from '../../src/model/ops.ts'
import type { Keeping } from '../../src/objects/upkeep/collect.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { Merging } from '../../src/objects/objects.ts'
import type { Tables } from '../../src/tables/tables.ts'
import { versionsMachine } from '../../src/versions/machine.ts'
import type { Prepared } from '../../src/versions/prepared.ts'
import { Reader } from '../../src/versions/reader.ts'
import { VersionsService } from '../../src/versions/service.ts'
import type { State } from '../../src/versions/state.ts'
import { SimBus } from './bus.ts'
import type { Faults } from './faults.ts'
import { SimBlobStore, SimTables, Wire } from './ports.ts'
import { clusterMac, hash, storeKey } from './store.ts'
import type { Durable } from './store.ts'
import type { Life } from './world.ts'

export type VersionsMachine = Machine<Op, Fact, State, Prepared>

/** Planted bugs: each wraps one part when a process is built. See test/planted. */
export interface Defect {
  machine?(machine: VersionsMachine, life: Life): VersionsMachine
  /** Of what writers merge. */
  merging?(merging: Merging): Merging
  writerTables?(tables: Tables): Tables
  writerBus?(bus: Bus, life: Life): Bus
  apiTables?(tables: Tables): Tables
  log?(log: Log<Op, Fact>): Log<Op, Fact>
  mac?(mac: Mac): Mac
  packNames?(random: Random): Random
  blob?(blob: BlobStore): BlobStore
  keeping?(keeping: Keeping): Keeping
  /** The played worker keeps no row of its result. */
  resultOnlyOnBus?: boolean
}

/** Small enough that a lane sets up quickly, and snapshots happen. */
const KEPT_IDS = 8 * 1024
const SNAPSHOT_MIN_BYTES = 6 * 1024
/** Short enough that lanes are let go in a history, between two storms. */
const IDLE_MS = 2_000

export interface Node {
  readonly life: Life
  readonly tables: Tables
  readonly bus: Bus
  readonly versions: VersionsService
  readonly blob: BlobStore
  readonly objects: ObjectEngine
}

function portsOf(life: Life, faults: Faults, durable: Durable, defect: Defect) {
  const wire = new Wire(life, faults)
  return {
    tables: new SimTables(wire, durable.tables) as Tables,
    blob: new SimBlobStore(wire, defect.blob?.(durable.blob) ?? durable.blob) as BlobStore,
    bus: new SimBus(wire, durable.fabric) as Bus,
    clock: life.clock,
    random: life.random,
    hash,
    mac: defect.mac?.(clusterMac) ?? clusterMac,
    storeKey,
    cacheBytes: 1 << 20,
  }
}

export function openNode(life: Life, faults: Faults, durable: Durable, defect: Defect): Node {
  const given = portsOf(life, faults, durable, defect)
  const ports = { ...given, tables: defect.apiTables?.(given.tables) ?? given.tables }
  const objects = new ObjectEngine({
    ...ports,
    random: defect.packNames?.(ports.random) ?? ports.random,
  })
  const client = new LogClient<Op, Fact>(ports)
  const log = defect.log?.(client) ?? client
  const versions = new VersionsService({ ...ports, log, objects })
  return { life, tables: ports.tables, bus: ports.bus, blob: ports.blob, objects, versions }
}

export async function openWriter(
  life: Life,
  faults: Faults,
  durable: Durable,
  defect: Defect,
): Promise<void> {
  const given = portsOf(life, faults, durable, defect)
  const ports = {
    ...given,
    tables: defect.writerTables?.(given.tables) ?? given.tables,
    bus: defect.writerBus?.(given.bus, life) ?? given.bus,
  }
  const objects = new ObjectEngine(ports)
  const log = new LogClient<Op, Fact>(ports)
  const reader = new Reader({ ...ports, watermark: (project) => log.watermark(project) })
  const sound = versionsMachine({
    objects: {
      merging: () => {
        const merging = objects.merging()
        return defect.merging?.(merging) ?? merging
      },
      stats: (root) => objects.stats(root),
      loadCondemned: () => objects.loadCondemned(),
    },
    reader,
    emptyRoot: await objects.emptyTree(),
    condemnedFor: new Map(),
  })
  const machine = defect.machine?.(sound, life) ?? sound
  const writer = new LogWriter({
    ...ports,
    machine,
    keptIds: KEPT_IDS,
    snapshotMinBytes: SNAPSHOT_MIN_BYTES,
    idleMs: IDLE_MS,
  })
  const running = writer.run(new AbortController().signal)
  writer.ensure(DEFAULT_PROJECT)
  await running
}
