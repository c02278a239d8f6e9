// The real hash and compressor of the object engine.

import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import type { Compute, Hash } from '../objects/guests.ts'

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** zstd level 1 on libuv's threads. */
export const zstdCompute: Compute = {
  compress: (bytes) => compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  async decompress(bytes, sizeBytes) {
    // The limit also keeps a hostile frame from filling memory.
    const whole = await decompress(bytes, { maxOutputLength: Math.max(sizeBytes, 1) })
    if (whole.length !== sizeBytes)
      throw new RangeError(`expected ${sizeBytes} bytes, found ${whole.length}`)
    return whole
  },
}

/** BLAKE3 by the native addon, or by WebAssembly where it does not load; both give the same bytes. */
export async function openHash(): Promise<Hash> {
  try {
    const { blake3 } = await import('@napi-rs/blake-hash')
    return blake3
  } catch {
    return openWasmHash()
  }
}

export async function openWasmHash(): Promise<Hash> {
  const { createBLAKE3 } = await import('hash-wasm')
  const hasher = await createBLAKE3()
  return (bytes) => hasher.init().update(bytes).digest('binary')
}
