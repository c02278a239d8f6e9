// Cutting and hashing of long contents off this thread: on a 64-bit processor they cost 1.5 s a GiB, for which
// nobody else would be served. Threads are started when they are needed first, and keep no process alive.

import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { VarveError } from '../base/errors.ts'
import type { Cuts, CutWindow, Cutting, Stretch } from '../objects/guests.ts'
import type { CutDone, CutJob } from './cutting-job.ts'

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
  #contents = 0
  readonly #threads = new Set<Thread>()

  windows(): readonly [CutWindow, CutWindow] | undefined {
    if (this.#free.length + WINDOWS - this.#windows < 2) return undefined
    const content = ++this.#contents
    let thread: Thread | undefined
    const cut = (memory: SharedArrayBuffer, stretch: Stretch): Promise<Cuts> => {
      thread ??= this.#thread()
      return thread.cut({ content, memory, ...stretch })
    }
    const ended = (): void => thread?.forget(content)
    return [this.#window(cut, ended), this.#window(cut, ended)]
  }

  #window(
    cut: (memory: SharedArrayBuffer, stretch: Stretch) => Promise<Cuts>,
    ended: () => void,
  ): CutWindow {
    let memory = this.#free.pop()
    if (!memory) {
      memory = new SharedArrayBuffer(WINDOW_BYTES)
      this.#windows++
    }
    const shared = memory
    let cutting: Promise<void> | undefined
    return {
      bytes: new Uint8Array(shared),
      cut: (stretch) => {
        const cuts = cut(shared, stretch)
        const done = (): void => void (cutting = undefined)
        cutting = cuts.then(done, done)
        return cuts
      },
      free: () => {
        ended()
        // A thread that is still at it writes to its front.
        if (cutting) void cutting.then(() => this.#free.push(shared))
        else this.#free.push(shared)
      },
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
  #ended: VarveError | undefined

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
      this.#ended = error
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

  cut(
    window: Stretch & { readonly content: number; readonly memory: SharedArrayBuffer },
  ): Promise<Cuts> {
    if (this.#ended) return Promise.reject(this.#ended)
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.ref()
      this.#post({ id, ...window })
    })
  }

  forget(content: number): void {
    this.#post({ content, memory: null })
  }

  #post(job: CutJob): void {
    this.#worker.postMessage(job)
  }
}
