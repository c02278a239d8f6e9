// The real hash and compressor of the object engine.

import { channel } from 'node:diagnostics_channel'
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import type { Check } from '../base/check.ts'
import type { Compute, Hash } from '../objects/guests.ts'
import { CuttingThreads } from './cutting.ts'

/** {error} */
const withoutAddon = channel('varve:hash:without-addon')

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
/** More than a frame that does not compress is larger than what is in it; no less than zlib asks for. */
const FRAME_BYTES = 1024
/** A hostile frame may claim any size: it gets no more memory than it fills. */
const MOST_AT_ONCE_BYTES = 1024 * 1024

/** zstd level 1 on libuv's threads, each result in one piece: pieces cost more than the work. */
export const zstdCompute: Compute = {
  cutting: new CuttingThreads(),
  compress: (bytes) =>
    compress(bytes, {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
      chunkSize: bytes.length + FRAME_BYTES,
    }),
  async decompress(bytes, sizeBytes) {
    // The limit also keeps a hostile frame from filling memory.
    const whole = await decompress(bytes, {
      maxOutputLength: Math.max(sizeBytes, 1),
      chunkSize: Math.min(sizeBytes + FRAME_BYTES, MOST_AT_ONCE_BYTES),
    })
    if (whole.length !== sizeBytes)
      throw new RangeError(`expected ${sizeBytes} bytes, found ${whole.length}`)
    return whole
  },
}

interface NativeHash {
  blake3UrlSafeBase64(bytes: Uint8Array): string
}
type LoadNative = () => Promise<NativeHash>
const loadNative: LoadNative = () => import('@napi-rs/blake-hash')

/** Up to so many bytes WebAssembly is done before the addon has been called. */
const SHORT_BYTES = 256

/** BLAKE3 by the native addon, or by WebAssembly where it does not load; both give the same bytes. */
export async function openHash(load: LoadNative = loadNative): Promise<Hash> {
  const wasm = await openWasmHash()
  try {
    // As text: a buffer made by the addon costs more than a hash of 1 KB, and the collector as much again.
    const { blake3UrlSafeBase64: native } = await load()
    return (bytes) =>
      bytes.length <= SHORT_BYTES ? wasm(bytes) : Buffer.from(native(bytes), 'base64url')
  } catch (error) {
    withoutAddon.publish({ error })
    return wasm
  }
}

/** Which of the two `openHash` would take. */
export async function checkHash(load: LoadNative = loadNative): Promise<Check> {
  const what = 'BLAKE3, which names all content'
  try {
    await load()
    return { what, state: 'ok', found: 'the native addon' }
  } catch (error) {
    const why = (error as Error).message.split('\n', 1)[0]
    return {
      what,
      state: 'warning',
      found: `WebAssembly, several times slower: the native addon does not load: ${why}`,
      remedy:
        'install with optional dependencies, on the system and processor that it will run on: npm install --include=optional',
    }
  }
}

export async function openWasmHash(): Promise<Hash> {
  const { createBLAKE3 } = await import('hash-wasm')
  const hasher = await createBLAKE3()
  return (bytes) => hasher.init().update(bytes).digest('binary')
}
