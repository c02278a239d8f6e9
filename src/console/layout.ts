// Asks the worker for a layout, once for each different graph.

import type { LayoutAnswer, LayoutRequest } from './scene.ts'

const KEPT = 32

interface Answer {
  readonly id: number
  readonly answer: LayoutAnswer
}

let worker: Worker | undefined
let lastId = 0
const waiting = new Map<number, (answer: LayoutAnswer) => void>()
const kept = new Map<string, Promise<LayoutAnswer>>()

function start(): Worker {
  const made = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' })
  made.onmessage = (message: MessageEvent<Answer>): void => {
    waiting.get(message.data.id)?.(message.data.answer)
    waiting.delete(message.data.id)
  }
  return made
}

/** Fetches the library while the first answer is on its way. */
export function warmLayout(): void {
  worker ??= start()
}

export function requestLayout(request: LayoutRequest): Promise<LayoutAnswer> {
  const key = JSON.stringify(request)
  const known = kept.get(key)
  if (known) return known
  worker ??= start()
  const id = ++lastId
  const answer = new Promise<LayoutAnswer>((resolve) => waiting.set(id, resolve))
  worker.postMessage({ id, request })
  kept.set(key, answer)
  for (const old of kept.keys()) {
    if (kept.size <= KEPT) break
    kept.delete(old)
  }
  return answer
}
