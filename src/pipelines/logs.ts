// Lines of user code, kept with their job: segments of a second or 64 KiB in the store, listed in a
// table. Lines also go over the bell, for those who follow; what the bell loses is in the segments.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { Channel } from '../base/async.ts'
import { fromUtf8, toHex, utf8 } from '../base/bytes.ts'
import type { Bus } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Objects } from '../objects/objects.ts'
import { defineTable } from '../tables/schema.ts'
import type { Tables } from '../tables/tables.ts'
import type { LogLine } from './service.ts'
import { trouble } from './trouble.ts'

export const LOG_SEGMENTS = defineTable({
  name: 'log_segments',
  kind: 'facts',
  partition: ['project', 'pipeline', 'job'],
  clustering: ['segment'],
  columns: {
    project: 'text',
    pipeline: 'text',
    job: 'text',
    /** Time of its first line in 15 digits, then chance: in order, and never twice. */
    segment: 'text',
    /** Where they are, or will be: collection keeps it from the first row on. */
    ref: 'text',
    lines: 'int',
    /** 1 once they are stored. Rows without it are of a process that died before. */
    stored: 'int',
  },
})

export interface LogKey {
  readonly project: string
  readonly pipeline: string
  readonly job: Id
}

interface Buffer {
  readonly key: LogKey
  lines: LogLine[]
  chars: number
  /** Set while a flush is on its way. */
  flushing: Promise<void> | undefined
}

const SEGMENT_CHARS = 64 * 1024
const SEGMENT_MS = 1_000

export class LogStore {
  readonly #objects: Objects
  readonly #tables: Tables
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #random: Random
  readonly #buffers = new Map<string, Buffer>()

  constructor(options: {
    objects: Objects
    tables: Tables
    bus: Bus
    clock: Clock
    random: Random
  }) {
    this.#objects = options.objects
    this.#tables = options.tables
    this.#bus = options.bus
    this.#clock = options.clock
    this.#random = options.random
  }

  /** Takes lines; waits only while a full segment is being stored. */
  async append(key: LogKey, lines: readonly LogLine[]): Promise<void> {
    if (lines.length === 0) return
    const { project, pipeline, job } = key
    const name = nameOf(key)
    const own = { project, pipeline, job }
    const buffer = this.#buffers.get(name) ?? { key: own, lines: [], chars: 0, flushing: undefined }
    this.#buffers.set(name, buffer)
    if (buffer.lines.length === 0) void this.#flushLater(buffer)
    for (const line of lines) {
      buffer.lines.push(line)
      buffer.chars += line.text.length + 150
    }
    const value = utf8(JSON.stringify({ key: own, lines }))
    const message = { partition: 0, key: name, headers: {}, value }
    await this.#bus.publish(TOPICS.lines, [message]).catch(() => {})
    if (buffer.chars >= SEGMENT_CHARS) await this.flush(key)
  }

  async #flushLater(buffer: Buffer): Promise<void> {
    await this.#clock.sleep(SEGMENT_MS)
    await this.flush(buffer.key).catch((error) => trouble('store log lines', error))
  }

  /** Everything taken so far is stored on return. @throws VarveError DISK_FULL, UNAVAILABLE: it is kept */
  async flush(key: LogKey): Promise<void> {
    const buffer = this.#buffers.get(nameOf(key))
    if (!buffer) return
    await buffer.flushing?.catch(() => {})
    if (buffer.lines.length === 0) return
    buffer.flushing ??= this.#store(buffer).finally(() => (buffer.flushing = undefined))
    await buffer.flushing
  }

  async #store(buffer: Buffer): Promise<void> {
    const { lines, chars } = buffer
    buffer.lines = []
    buffer.chars = 0
    try {
      const at = String(Math.max(0, Math.floor(lines[0]?.atMs ?? 0))).padStart(15, '0')
      const segment = `${at}-${toHex(this.#random.bytes(8))}`
      const rowAt = (ref: TreeRef, stored: number): Promise<void> => {
        const row = { ...buffer.key, segment, ref, lines: lines.length, stored }
        return this.#tables.put(LOG_SEGMENTS, [row], 1 + stored)
      }
      // A row has no guard that could refuse it: it says where the lines will be before they are there.
      const ref = await this.#objects.putBytes(
        utf8(lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
        (where) => rowAt(where, 0),
      )
      await rowAt(ref, 1)
      if (buffer.lines.length === 0) this.#buffers.delete(nameOf(buffer.key))
    } catch (error) {
      buffer.lines = [...lines, ...buffer.lines]
      buffer.chars += chars
      throw error
    }
  }

  /** Stored lines of a job in the order of their segments, then those still in memory here. */
  async *read(key: LogKey): AsyncGenerator<LogLine> {
    for await (const row of this.#tables.scan(LOG_SEGMENTS, key)) {
      if (row.stored !== 1) continue
      const text = fromUtf8(await this.#objects.getBytes(row.ref as TreeRef))
      for (const line of text.split('\n')) if (line !== '') yield JSON.parse(line) as LogLine
    }
    const buffer = this.#buffers.get(nameOf(key))
    if (buffer) yield* buffer.lines.slice()
  }

  /** Lines as they come, of a pipeline; ends with the signal. Slow readers lose none but hold memory. */
  async *follow(project: string, pipeline: string, signal: AbortSignal): AsyncGenerator<LogLine> {
    const channel = new Channel<LogLine>(100_000)
    const subscription = this.#bus.subscribe(TOPICS.lines, { tail: true }, async (messages) => {
      for (const message of messages) {
        const { key, lines } = JSON.parse(fromUtf8(message.value)) as {
          key: LogKey
          lines: LogLine[]
        }
        if (key.project === project && key.pipeline === pipeline)
          for (const line of lines) await channel.push(line)
      }
    })
    const end = (): void => channel.close()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    try {
      yield* channel
    } finally {
      signal.removeEventListener('abort', end)
      await subscription.close()
    }
  }
}

function nameOf({ project, pipeline, job }: LogKey): string {
  return `${project}/${pipeline}=${job}`
}
