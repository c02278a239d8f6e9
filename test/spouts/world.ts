// The real log and domain over memory ports, for hosts to run against.

import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { LogClient } from '../../src/log/client.ts'
import { LogWriter } from '../../src/log/writer.ts'
import { openHash } from '../../src/main/compute.ts'
import { idSource } from '../../src/model/id.ts'
import type { Id } from '../../src/model/id.ts'
import type { Fact, Op } from '../../src/model/ops.ts'
import { parsePath } from '../../src/model/path.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { versionsMachine } from '../../src/versions/machine.ts'
import { Reader } from '../../src/versions/reader.ts'
import { VersionsService } from '../../src/versions/service.ts'
import type { Versions } from '../../src/versions/versions.ts'

export interface World {
  readonly versions: Versions
  readonly newId: () => Id
  propose(...ops: readonly Op[]): Promise<void>
  /** Commits files to a branch in one shot; null deletes. */
  put(repo: string, files: Readonly<Record<string, string | null>>): Promise<Id>
  /** Every file of a branch's head with its text. */
  files(repo: string): Promise<Record<string, string>>
  /** Polls until `look` gives something. */
  until<T>(look: () => Promise<T | undefined | false>): Promise<T>
  close(): Promise<void>
}

export const PROJECT = 'default'

export async function makeWorld(): Promise<World> {
  const hash = await openHash()
  const clock = systemClock
  const random = seededRandom(7)
  const tables = new MemoryTables()
  const blob = new MemoryBlobStore()
  const guests = { tables, blob, bus: new MemoryBus({ clock }), clock, random, hash }
  const log = new LogClient<Op, Fact>(guests)
  const storeKey = new Uint8Array(32).fill(3)
  const objects = new ObjectEngine({ blob, hash, storeKey, random })
  const reader = new Reader({ tables, clock, watermark: (project) => log.watermark(project) })
  const emptyRoot = await objects.emptyTree()
  const machine = versionsMachine({ objects, reader, emptyRoot, condemnedFor: new Map() })
  const writer = new LogWriter({ ...guests, machine })
  const stop = new AbortController()
  const running = writer.run(stop.signal)
  const versions = new VersionsService({ log, tables, objects, clock, random, hash })
  const newId = idSource(clock, random)
  const encoder = new TextEncoder()
  return {
    versions,
    newId,
    propose: async (...ops) => {
      await versions.propose(PROJECT, ops, { id: newId(), principal: 'test' })
    },
    put: async (repo, files) => {
      const commit = await versions.commitFiles(
        PROJECT,
        { repo, branch: 'master' },
        async (tree) => {
          for (const [path, text] of Object.entries(files)) {
            if (text === null) await tree.delete(parsePath(path))
            else await tree.put(parsePath(path), encoder.encode(text))
          }
        },
        { id: newId(), principal: 'test' },
      )
      return commit.id
    },
    files: async (repo) => {
      const head = (await versions.branch(PROJECT, { repo, branch: 'master' }))?.head
      const found: Record<string, string> = {}
      for await (const file of objects.walk(head?.root ?? null)) {
        const parts: Uint8Array[] = []
        for await (const part of objects.readEntry(file)) parts.push(part)
        found[file.path] = Buffer.concat(parts).toString()
      }
      return found
    },
    until: async (look) => {
      for (;;) {
        const found = await look()
        if (found !== undefined && found !== false) return found
        await clock.sleep(10)
      }
    },
    close: async () => {
      stop.abort()
      await running
    },
  }
}
