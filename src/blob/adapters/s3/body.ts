import type { Readable } from 'node:stream'
import { BadAnswer } from './fault.ts'

/**
 * The bytes of an answer, exactly as many as were announced.
 * @throws BadAnswer when there are fewer or more, or none for `idleMs`; then the stream is destroyed
 */
export function readBody(
  stream: Readable,
  sizeBytes: number,
  idleMs: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const bytes = new Uint8Array(sizeBytes)
    let filled = 0
    const fail = (error: unknown): void => {
      finish()
      stream.destroy()
      reject(error instanceof Error ? error : new BadAnswer(String(error)))
    }
    const tooShort = (): Error =>
      new BadAnswer(`the body ended after ${filled} of ${sizeBytes} bytes`)
    const idle = (): void => fail(new BadAnswer(`the body stood still for ${idleMs} ms`))
    const timer = setTimeout(idle, idleMs)
    const onData = (chunk: Uint8Array): void => {
      timer.refresh()
      if (filled + chunk.length > sizeBytes)
        return fail(new BadAnswer(`the body is longer than the announced ${sizeBytes} bytes`))
      bytes.set(chunk, filled)
      filled += chunk.length
    }
    const onEnd = (): void => {
      if (filled !== sizeBytes) return fail(tooShort())
      finish()
      resolve(bytes)
    }
    const onClose = (): void => fail(tooShort())
    const onAbort = (): void => fail(signal.reason)
    const finish = (): void => {
      clearTimeout(timer)
      stream.off('data', onData).off('end', onEnd).off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    // Stays: a stream that is destroyed may still report an error, to nobody.
    stream.on('error', fail)
    stream.on('data', onData).on('end', onEnd).on('close', onClose)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}
