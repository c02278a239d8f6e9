// Bytes that are copied on and dropped lie outside the heap, in buffers that V8 looks for late: by then there are
// 100 MB of them, for which it takes the whole heap to be full and marks all of it, some 200 times in 10 GiB: a third
// of the time of an upload. A collection of the young generation alone, in time, takes 2 ms.

/** More costs memory; less, time. */
const EVERY_BYTES = 16 * 1024 * 1024

let passedBytes = 0

/** Of buffers that come by the thousand and are dropped soon. Does something where main/varve.mjs was the start. */
export function passed(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < EVERY_BYTES) return
  passedBytes = 0
  globalThis.gc?.({ type: 'minor' })
}
