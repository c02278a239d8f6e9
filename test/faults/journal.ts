// What was asked of a system and what it answered, written outside of it. A line is on disk before the
// request it tells of is sent, and an answer is on disk before its client goes on, so that line order
// is real-time order: an answer that stands before a send was known when that was sent.

import { closeSync, openSync, readFileSync, write, fdatasync } from 'node:fs'
import { promisify } from 'node:util'

const writeTo = promisify(write)
const syncOf = promisify(fdatasync)

/** One request of a client; sending it again under the same id makes another attempt of the same op. */
export interface Sent {
  readonly kind: 'sent'
  /** Unique in the journal. */
  readonly op: number
  readonly attempt: number
  readonly client: string
  /** The Idempotency-Key, and so the commit's id; another op may reuse it on purpose. */
  readonly id: string
  readonly repo: string
  readonly branch: string
  readonly path: string
  readonly text: string
  /** `yes`, or the code it must be refused with. */
  readonly expects: string
}

export interface Answered {
  readonly kind: 'answered'
  readonly op: number
  readonly attempt: number
  /** `unknown`: no answer, or one that says "ask again". */
  readonly answer: 'yes' | 'no' | 'unknown'
  readonly status: number
  readonly code?: string
  /** Of a yes: the commit it names. */
  readonly commit?: string
}

/** A foreign program wrote so many records, each acknowledged to it. */
export interface Produced {
  readonly kind: 'produced'
  readonly topic: string
  readonly records: number
}

export interface Struck {
  readonly kind: 'struck'
  readonly fault: string
  readonly target: string
  /** False: there was nothing left to hit. */
  readonly landed: boolean
  readonly atMs: number
  readonly heldMs: number
}

export type Line = Sent | Answered | Produced | Struck

/** An append-only file of JSON lines; those that come together share one sync. */
export class Journal {
  readonly path: string
  readonly #fd: number
  #waiting: { text: string; done: () => void }[] = []
  #flushing: Promise<void> | undefined
  #accepted = 0

  constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, 'a')
  }

  /** Answers so far that said yes. */
  get accepted(): number {
    return this.#accepted
  }

  /** Resolves when the line is on disk. */
  append(line: Line): Promise<void> {
    if (line.kind === 'answered' && line.answer === 'yes') this.#accepted++
    return new Promise((done) => {
      this.#waiting.push({ text: `${JSON.stringify(line)}\n`, done })
      this.#flushing ??= this.#flush()
    })
  }

  async close(): Promise<void> {
    await this.#flushing
    closeSync(this.#fd)
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const now = this.#waiting
      this.#waiting = []
      await writeTo(this.#fd, now.map((one) => one.text).join(''))
      await syncOf(this.#fd)
      for (const one of now) one.done()
    }
    this.#flushing = undefined
  }
}

/** Its whole lines: the last one may be in the middle of being written. */
export function readJournal(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}
