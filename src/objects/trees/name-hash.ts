// 32 bits of a name, by which a directory is split: FNV-1a over its UTF-8, from a seed of the store and the
// level, then Murmur3's finish, so that every bit of it depends on every byte.

const encoder = new TextEncoder()
const PRIME = 0x01000193

/** 0 … 2³² − 1. */
export function nameHash(seed: number, level: number, name: string): number {
  let hash = begun(seed, level)
  let i = 0
  for (; i < name.length; i++) {
    const unit = name.charCodeAt(i)
    if (unit >= 0x80) break
    hash = Math.imul(hash ^ unit, PRIME)
  }
  if (i < name.length)
    for (const byte of encoder.encode(name.slice(i))) hash = Math.imul(hash ^ byte, PRIME)
  return finished(hash)
}

/** The same, of a name that stands in bytes. */
export function bytesHash(
  seed: number,
  level: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  let hash = begun(seed, level)
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), PRIME)
  return finished(hash)
}

function begun(seed: number, level: number): number {
  return (seed ^ Math.imul(level + 1, 0x9e3779b1)) | 0
}

function finished(fnv: number): number {
  let hash = Math.imul(fnv ^ (fnv >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
