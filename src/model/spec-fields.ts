// Reads plain values (from JSON or YAML) field by field. Every refusal carries the JSON pointer of
// the value it is about; whoever has the text turns that into a line and a column.

import { nearest } from '../base/nearest.ts'
import { VarveError } from '../base/errors.ts'

export type Plain = Readonly<Record<string, unknown>>

/** @throws always: VarveError INVALID_SPEC with details {pointer, field, nearest} */
export function refuseSpec(pointer: string, message: string, meant?: string): never {
  const field = pointer.slice(1).replaceAll('/', '.')
  throw new VarveError('INVALID_SPEC', `${message}${meant ? `; did you mean "${meant}"?` : ''}`, {
    details: { pointer, field, nearest: meant ?? null },
  })
}

/** `datum_tries` → `datumTries`; what is camelCase already stays. */
export function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

export function pointerTo(parent: string, key: string | number): string {
  return `${parent}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

export function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Longer words are cut in messages, and nobody looks for what was meant by them. */
const MAX_SHOWN_CHARS = 60

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, MAX_SHOWN_CHARS) ?? String(value)
}

/**
 * One object of a document. Each field is taken once by its camelCase name, whichever way it was
 * written; `end` then refuses what nobody took. A null counts as not given, as in Pachyderm.
 */
export class Fields {
  readonly pointer: string
  readonly #noun: string
  readonly #given = new Map<string, { key: string; value: unknown }>()
  readonly #known = new Set<string>()

  constructor(value: unknown, pointer: string, noun: string) {
    this.pointer = pointer
    this.#noun = noun
    if (!isPlain(value))
      refuseSpec(pointer, `cannot read ${noun}: expected an object, found ${shown(value)}`)
    for (const [key, each] of Object.entries(value)) {
      const name = camelCase(key)
      if (this.#given.has(name))
        refuseSpec(pointerTo(pointer, key), `cannot read ${noun}: "${name}" is given twice`)
      this.#given.set(name, { key, value: each })
    }
  }

  /** Where the field stands, given or not. */
  at(name: string): string {
    return pointerTo(this.pointer, this.#given.get(name)?.key ?? name)
  }

  has(name: string): boolean {
    const given = this.#given.get(name)
    return given !== undefined && given.value !== null
  }

  raw(name: string): unknown {
    this.#known.add(name)
    const given = this.#given.get(name)
    return given?.value ?? undefined
  }

  string(name: string): string | undefined {
    const value = this.raw(name)
    if (value === undefined || typeof value === 'string') return value
    return this.refuse(name, `expected text, found ${shown(value)}`)
  }

  requiredString(name: string): string {
    const value = this.string(name)
    if (value === undefined || value === '') return this.missing(name)
    return value
  }

  bool(name: string): boolean | undefined {
    const value = this.raw(name)
    if (value === undefined || typeof value === 'boolean') return value
    return this.refuse(name, `expected true or false, found ${shown(value)}`)
  }

  /** Accepts digits in quotes: protobuf's JSON writes 64-bit numbers so. */
  int(name: string, min: number): number | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    const n = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
    if (typeof n !== 'number' || !Number.isSafeInteger(n) || n < min)
      return this.refuse(name, `expected a whole number of at least ${min}, found ${shown(value)}`)
    return n
  }

  strings(name: string): readonly string[] | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((each) => typeof each === 'string'))
      return this.refuse(name, `expected a list of texts, found ${shown(value)}`)
    return value
  }

  ints(name: string): readonly number[] | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((each) => Number.isSafeInteger(each)))
      return this.refuse(name, `expected a list of whole numbers, found ${shown(value)}`)
    return value
  }

  /** Text to text; numbers and booleans are taken as their text. */
  map(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (!isPlain(value)) return this.refuse(name, `expected an object, found ${shown(value)}`)
    const map: Record<string, string> = {}
    for (const [key, each] of Object.entries(value)) {
      // On a plain object this key would be lost without a word.
      if (key === '__proto__')
        refuseSpec(pointerTo(this.at(name), key), `cannot use "__proto__" in "${name}"`)
      if (!['string', 'number', 'boolean'].includes(typeof each))
        refuseSpec(
          pointerTo(this.at(name), key),
          `cannot read "${key}" in "${name}": expected text`,
        )
      map[key] = String(each)
    }
    return map
  }

  oneOf<T extends string>(name: string, words: readonly T[]): T | undefined {
    const value = this.string(name)
    if (value === undefined) return undefined
    const found = words.find((word) => word === value)
    if (found !== undefined) return found
    return refuseSpec(
      this.at(name),
      `cannot read ${this.#noun}: "${name}" is ${shown(value)}, expected ${words.join(' or ')}`,
      value.length > MAX_SHOWN_CHARS ? undefined : nearest(value, words),
    )
  }

  /** `30s`, `4m`, `1h30m`, `1.5s`, `250ms`; kept as written. */
  duration(name: string): string | undefined {
    const value = this.string(name)
    if (value === undefined) return undefined
    if (durationMs(value) === undefined)
      return this.refuse(name, `expected a duration such as "30s" or "4m", found ${shown(value)}`)
    return value
  }

  object(name: string, noun: string): Fields | undefined {
    const value = this.raw(name)
    return value === undefined ? undefined : new Fields(value, this.at(name), noun)
  }

  /** Objects of a list, each to be read by its own fields. */
  objects(name: string, noun: string, most: number): readonly Fields[] | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) return this.refuse(name, `expected a list, found ${shown(value)}`)
    if (value.length > most) this.refuse(name, `at most ${most} of them, found ${value.length}`)
    return value.map((each, i) => new Fields(each, pointerTo(this.at(name), i), noun))
  }

  refuse(name: string, why: string): never {
    return refuseSpec(this.at(name), `cannot read ${this.#noun}: "${name}": ${why}`)
  }

  /** A field that must be there: points at a misspelt one if that is what happened. */
  missing(name: string, hint = ''): never {
    for (const [given, { key }] of this.#given)
      if (
        !this.#known.has(given) &&
        given.length <= MAX_SHOWN_CHARS &&
        nearest(given, [name]) !== undefined
      )
        this.#unknown(key, key.includes('_') ? snakeCase(name) : name)
    return this.refuse(name, `it is missing${hint && `: ${hint}`}`)
  }

  #unknown(key: string, meant: string | undefined): never {
    const at = pointerTo(this.pointer, key)
    const named = key.length > MAX_SHOWN_CHARS ? `${key.slice(0, MAX_SHOWN_CHARS)}…` : key
    return refuseSpec(at, `cannot read ${this.#noun}: there is no field "${named}"`, meant)
  }

  /** Refuses every field nobody asked for: those of `reasons` with the reason, others by nearest. */
  end(reasons: Readonly<Record<string, string>> = {}): void {
    for (const [name, { key, value }] of this.#given) {
      if (this.#known.has(name) || value === null) continue
      const reason = Object.hasOwn(reasons, name) ? reasons[name] : undefined
      if (reason !== undefined)
        refuseSpec(
          pointerTo(this.pointer, key),
          `cannot use "${key}" in ${this.#noun}: not supported yet: ${reason}`,
        )
      const known = [...this.#known, ...Object.keys(reasons)]
      const meant = name.length > MAX_SHOWN_CHARS ? undefined : nearest(name, known)
      this.#unknown(key, meant && key.includes('_') ? snakeCase(meant) : meant)
    }
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `30s`, `4m`, `1h30m`; undefined when it is not a duration above zero. */
export function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined
  let ms = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    ms += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
  return ms > 0 && Number.isFinite(ms) ? ms : undefined
}

/** Plain entries only: what is undefined is left out, so that a spec is one JSON value for ever. */
export function compact<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T
}
