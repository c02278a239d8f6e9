import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { openCore } from '../../src/main/core.ts'
import type { Core, Ports } from '../../src/main/core.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'

/** The domain in this process, over memory. */
export async function memoryCore(seed: number, ports: Partial<Ports> = {}): Promise<Core> {
  return openCore({
    tables: new MemoryTables(),
    blob: new MemoryBlobStore(),
    bus: new MemoryBus({ clock: systemClock }),
    clock: systemClock,
    random: seededRandom(seed),
    hash: await openHash(),
    compute: zstdCompute,
    storeKey: new Uint8Array(32).fill(7),
    ...ports,
  })
}
