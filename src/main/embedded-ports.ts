// What an embedded server stands on: SQLite and files of its data folder, and a bus in memory.

import { systemClock as clock } from '../base/clock.ts'
import { systemRandom as random } from '../base/random.ts'
import { DiskBlobStore } from '../blob/adapters/disk.ts'
import { MemoryBus } from '../bus/adapters/memory.ts'
import { SqliteTables } from '../tables/adapters/sqlite.ts'
import { openHash, zstdCompute } from './compute.ts'
import type { Ports } from './core.ts'
import type { DataFolder } from './data-folder.ts'
import { EMBEDDED_TABLES } from './tables.ts'

interface PortsOptions {
  /** Nothing of it can be changed, and nothing is made that is not there. */
  readonly toRead?: boolean
  readonly cacheBytes?: number | undefined
}

/** Closed with `opened`. @throws VarveError UNAVAILABLE, DISK_FULL */
export async function openEmbeddedPorts(
  folder: Pick<DataFolder, 'tablesFile' | 'blobsFolder' | 'storeKey'>,
  opened: AsyncDisposableStack,
  { toRead = false, cacheBytes }: PortsOptions = {},
): Promise<Ports> {
  const { tablesFile, blobsFolder, storeKey } = folder
  const tables = toRead
    ? SqliteTables.openToRead(tablesFile, EMBEDDED_TABLES)
    : await SqliteTables.open(tablesFile, EMBEDDED_TABLES)
  opened.defer(() => tables.close())
  const blob = toRead
    ? DiskBlobStore.openToRead(blobsFolder)
    : await DiskBlobStore.open(blobsFolder)
  const bus = new MemoryBus({ clock })
  const hash = await openHash()
  return { tables, blob, bus, clock, random, hash, compute: zstdCompute, storeKey, cacheBytes }
}
