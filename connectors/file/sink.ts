// Lines appended to one file that a person can watch with `tail -f`. Exactly once: the length after
// each commit is what the log records, and opening cuts the file back to it. Writes go to the place
// they belong to, never to whatever is the end: of two sinks on one file both then write the same
// bytes over each other, and one that was cut back by the other's opening notices before it says done.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type {
  Coordinates,
  OptionValues,
  Sink,
  SinkBatch,
  Trouble,
} from '../../src/connector/mod.ts'
import type { SINK_OPTIONS } from './options.ts'

const NEWLINE = Buffer.from('\n')

export class FileSink implements Sink {
  readonly #path: string
  #file: FileHandle | undefined
  #lengthBytes = 0

  constructor(options: OptionValues<typeof SINK_OPTIONS>) {
    this.#path = options.path
  }

  async open(delivered: Coordinates | null): Promise<{ readonly at: Coordinates } | Trouble> {
    try {
      this.#file = await open(this.#path, constants.O_RDWR | constants.O_CREAT)
      await syncFolder(dirname(this.#path))
      const { size } = await this.#file.stat()
      const wanted =
        typeof delivered?.['lengthBytes'] === 'number' ? delivered['lengthBytes'] : size
      if (size < wanted)
        return {
          kind: 'fatal',
          text: `cannot append to "${this.#path}": it has ${size} bytes, and ${wanted} were delivered`,
        }
      if (size > wanted) {
        await this.#file.truncate(wanted)
        await this.#file.datasync()
      }
      this.#lengthBytes = wanted
      return { at: this.#coordinates() }
    } catch (error) {
      return this.#trouble(error)
    }
  }

  async write(batch: SinkBatch): Promise<Trouble | null> {
    try {
      const bytes = Buffer.concat(batch.records.flatMap(({ value }) => [value, NEWLINE]))
      for (let at = 0; at < bytes.length;) {
        const place = this.#lengthBytes + at
        const { bytesWritten } = await this.#opened().write(bytes, at, bytes.length - at, place)
        at += bytesWritten
      }
      this.#lengthBytes += bytes.length
      return null
    } catch (error) {
      return this.#trouble(error)
    }
  }

  async commit(): Promise<{ readonly at: Coordinates } | Trouble> {
    try {
      await this.#opened().datasync()
      const { size } = await this.#opened().stat()
      if (size < this.#lengthBytes)
        return {
          kind: 'lost',
          text: `"${this.#path}" was cut to ${size} bytes while it was written`,
        }
      return { at: this.#coordinates() }
    } catch (error) {
      return this.#trouble(error)
    }
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  #opened(): FileHandle {
    if (!this.#file) throw new Error('the sink is not open')
    return this.#file
  }

  #coordinates(): Coordinates {
    return { path: this.#path, lengthBytes: this.#lengthBytes }
  }

  #trouble(error: unknown): Trouble {
    const { code, message } = error as NodeJS.ErrnoException
    const fatal = code === 'EACCES' || code === 'EISDIR' || code === 'EROFS'
    return { kind: fatal ? 'fatal' : 'lost', text: `cannot write to "${this.#path}": ${message}` }
  }
}

/** A new file's name is durable only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
