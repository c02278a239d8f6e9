// Chance is a guest, like time.

export interface Random {
  /** A number in [0, 1). */
  next(): number
  bytes(size: number): Uint8Array
}

// Asking the system costs the same for 8 bytes as for thousands, and ids ask for 8 at a time.
const pool = new Uint8Array(4096)
let used = pool.length

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes(size) {
    if (size > pool.length >> 3) return crypto.getRandomValues(new Uint8Array(size))
    if (used + size > pool.length) {
      crypto.getRandomValues(pool)
      used = 0
    }
    used += size
    return pool.slice(used - size, used)
  },
}

/** The same seed gives the same sequence for ever (xoshiro128**, Blackman and Vigna 2018). */
export function seededRandom(seed: number): Random {
  let s = seed >>> 0
  const mix = (): number => {
    // splitmix32 spreads a small seed over the whole state.
    s = (s + 0x9e3779b9) | 0
    let z = s
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let [a, b, c, d] = [mix(), mix(), mix(), mix()]
  const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k))
  const uint32 = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotl(d, 11)
    return result
  }
  return {
    next: () => uint32() / 0x1_0000_0000,
    bytes: (size) => Uint8Array.from({ length: size }, () => uint32() & 255),
  }
}
