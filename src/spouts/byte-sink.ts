const FIRST_BYTES = 64 * 1024

/** Bytes appended one after the other; grows by doubling, so a record is copied about twice. */
export class ByteSink {
  #buffer = new Uint8Array(0)
  #size = 0

  push(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#size)
    this.#size += bytes.length
  }

  newline(): void {
    this.#room(1)
    this.#buffer[this.#size++] = 0x0a
  }

  /** A view of what is in it; pushing on may leave it behind. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size)
  }

  #room(more: number): void {
    if (this.#size + more <= this.#buffer.length) return
    const size = Math.max(FIRST_BYTES, 2 * this.#buffer.length, this.#size + more)
    const buffer = new Uint8Array(size)
    buffer.set(this.bytes())
    this.#buffer = buffer
  }
}
