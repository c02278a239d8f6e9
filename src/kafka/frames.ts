import { KafkaError } from './error.ts'

const SIZE_BYTES = 4
/** Beyond what any answer to us may be: whoever says so does not speak this protocol. */
const MAX_BYTES = 256 * 1024 * 1024

/** Cuts what comes from a socket into answers: four bytes of size, then so many bytes. */
export class Frames {
  #chunks: Buffer[] = []
  #bytes = 0
  /** Of the next frame with its size; four while that is not known. */
  #wanted = SIZE_BYTES

  /** @returns the frames that are whole now @throws KafkaError lost: not this protocol */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const frames: Buffer[] = []
    while (this.#bytes >= this.#wanted) {
      const all =
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
      const size = all.readInt32BE(0)
      if (size < 0 || size > MAX_BYTES)
        throw new KafkaError('lost', 'what answers does not speak the protocol of Kafka')
      this.#wanted = SIZE_BYTES + size
      const whole = all.length >= this.#wanted
      if (whole) frames.push(all.subarray(SIZE_BYTES, this.#wanted))
      const rest = whole ? all.subarray(this.#wanted) : all
      this.#chunks = rest.length === 0 ? [] : [rest]
      this.#bytes = rest.length
      if (!whole) break
      this.#wanted = SIZE_BYTES
    }
    return frames
  }
}
