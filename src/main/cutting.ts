// Cutting and hashing of long contents off this thread: on a 64-bit processor they cost 1.5 s a GiB, for which
// nobody else would be served. Threads are started when they are needed first, and keep no process alive.

import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { VarveError } from '../base/errors.ts'
import type { Cuts, CutWindow, Cutting } from '../objects/guests.ts'
import type { CutDone, CutJob } from './cutting-job.ts'

/** Long enough for a thread's while that two messages do not count. */
const WINDOW_BYTES = 2 * 1024 * 1024
/** Of all contents together; those that find none are cut where they come in. */
const WINDOWS = 8
const THREADS: number = Math.min(4, Math.max(1, availableParallelism() - 1))

interface Waiting {
  resolve(cuts: Cuts): void
  reject(error: Error): void
}

export class CuttingThreads implements Cutting {
  readonly #free: SharedArrayBuffer[] = []
  #windows = 0
  readonly #threads = new Set<Thread>()

  windows(): readonly [CutWindow, CutWindow] | undefined {
    if (this.#free.length + WINDOWS - this.#windows < 2) return undefined
    return [this.#window(), this.#window()]
  }

  #window(): CutWindow {
    let memory = this.#free.pop()
    if (!memory) {
      memory = new SharedArrayBuffer(WINDOW_BYTES)
      this.#windows++
    }
    const shared = memory
    return {
      bytes: new Uint8Array(shared),
      cut: (stretch) => this.#thread().cut({ memory: shared, ...stretch }),
      free: () => this.#free.push(shared),
    }
  }

  /** The one with the least to do. */
  #thread(): Thread {
    let [best] = this.#threads
    for (const one of this.#threads) if (!best || one.jobs < best.jobs) best = one
    if (best && (best.jobs === 0 || this.#threads.size === THREADS)) return best
    const thread: Thread = new Thread(() => this.#threads.delete(thread))
    this.#threads.add(thread)
    return thread
  }
}

class Thread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1

  constructor(ended: () => void) {
    // The extension is ours: .ts as written, .js as published.
    const entry = new URL(`./cutting-thread${extname(import.meta.filename)}`, import.meta.url)
    this.#worker = new Worker(entry)
    this.#worker.on('message', ({ id, cuts }: CutDone) => {
      this.#waiting.get(id)?.resolve(cuts)
      this.#waiting.delete(id)
      if (this.jobs === 0) this.#worker.unref()
    })
    const end = (why: string): void => {
      ended()
      const error = new VarveError('UNAVAILABLE', `cannot cut a content: ${why}; send it again`)
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    }
    this.#worker.on('error', (error: Error) => end(`the thread failed: ${error.message}`))
    this.#worker.on('exit', () => end('the thread ended'))
    this.#worker.unref()
  }

  get jobs(): number {
    return this.#waiting.size
  }

  cut(job: Omit<CutJob, 'id'>): Promise<Cuts> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.ref()
      const whole: CutJob = { id, ...job }
      this.#worker.postMessage(whole)
    })
  }
}
