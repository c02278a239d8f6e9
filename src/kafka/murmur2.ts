// The hash and the choice of partition of Kafka's Java client, so that a key written by us lies where
// a Java producer would have put it.

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** 32 bits, signed. */
export function murmur2(bytes: Uint8Array): number {
  const size = bytes.length
  let h = SEED ^ size
  const whole = size & ~3
  for (let i = 0; i < whole; i += 4) {
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = size & 3
  if (rest > 2) h ^= (bytes[whole + 2] as number) << 16
  if (rest > 1) h ^= (bytes[whole + 1] as number) << 8
  if (rest > 0) h = Math.imul(h ^ (bytes[whole] as number), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

/** The partition of a key among `partitions`. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
