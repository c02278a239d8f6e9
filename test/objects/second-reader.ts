// Reads stores from docs/format.md alone: it shares no code with src/objects, so what it reads is what the
// page says. Trusts nothing and checks every id.

import { zstdDecompressSync } from 'node:zlib'

type Hash = (bytes: Uint8Array) => Uint8Array

export interface ReadFile {
  readonly bytes: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
}

interface Where {
  readonly pack: string
  readonly offset: number
  readonly length: number
}

interface Id extends Where {
  readonly id: string
}

type Entry =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'chunk' | 'list' | 'dir'; readonly size: number; readonly at: Id }
  | { readonly kind: 'small'; readonly dir: Entries }
  | { readonly kind: 'mark'; readonly text: string }

type Entries = readonly {
  readonly name: string
  readonly entry: Entry
  readonly attributes: Readonly<Record<string, string>>
}[]

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

class Bytes {
  readonly all: Uint8Array
  at = 0

  constructor(all: Uint8Array) {
    this.all = all
  }

  take(size: number): Uint8Array {
    if (this.at + size > this.all.length) throw new Error('it ends too early')
    this.at += size
    return this.all.subarray(this.at - size, this.at)
  }

  u8(): number {
    return this.take(1)[0] as number
  }

  varint(): number {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = this.u8()
      value += (byte % 128) * scale
      if (byte < 128) return value
    }
  }

  zigzag(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  text(): string {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.take(this.varint()))
  }

  get isEnd(): boolean {
    return this.at === this.all.length
  }
}

export class SecondReader {
  readonly #packs: ReadonlyMap<string, Uint8Array>
  readonly #key: Uint8Array
  readonly #hash: Hash

  constructor(packs: ReadonlyMap<string, Uint8Array>, key: Uint8Array, hash: Hash) {
    this.#packs = packs
    this.#key = key
    this.#hash = hash
  }

  /** Every file below a root, by path. */
  files(root: string): Map<string, ReadFile> {
    const [id = '', pack = '', offset, length] = root.split('.')
    const found = new Map<string, ReadFile>()
    this.#walk(this.#dir({ id, pack, offset: Number(offset), length: Number(length) }), '', found)
    return found
  }

  /** The marks of a run, as text by path. */
  marks(run: string): Map<string, string> {
    const [id = '', pack = '', offset, length] = run.split('.')
    const found = new Map<string, string>()
    const walk = (entries: Entries, prefix: string): void => {
      for (const { name, entry } of entries) {
        if (entry.kind === 'mark') found.set(prefix + name, entry.text)
        if (entry.kind === 'small') walk(entry.dir, `${prefix}${name}/`)
        if (entry.kind === 'dir') walk(this.#dir(entry.at), `${prefix}${name}/`)
      }
    }
    walk(this.#dir({ id, pack, offset: Number(offset), length: Number(length) }), '')
    return found
  }

  #walk(entries: Entries, prefix: string, found: Map<string, ReadFile>): void {
    for (const { name, entry, attributes } of entries) {
      const path = prefix + name
      if (entry.kind === 'small') this.#walk(entry.dir, `${path}/`, found)
      else if (entry.kind === 'dir') this.#walk(this.#dir(entry.at), `${path}/`, found)
      else found.set(path, { bytes: this.#content(entry), attributes })
    }
  }

  #content(entry: Entry): Uint8Array {
    if (entry.kind === 'inline') return entry.bytes
    if (entry.kind === 'chunk') return this.#chunk(entry.at, entry.size)
    if (entry.kind === 'list') return Buffer.concat(this.#list(entry.at))
    throw new Error(`a tree has no ${entry.kind}`)
  }

  #list(at: Id): Uint8Array[] {
    const { head, body, hints } = this.#node(at)
    if (head === 2)
      return this.#ids(
        hints,
        cells(body, () => body.varint()),
      ).map(({ at: chunk, value }) => this.#chunk(chunk, value))
    if (head !== 4) throw new Error(`a list of header ${head}`)
    body.varint()
    const below = this.#ids(
      hints,
      cells(body, () => {
        body.varint()
        return body.varint()
      }),
    )
    return below.flatMap(({ at: branch }) => this.#list(branch))
  }

  #dir(at: Id): Entries {
    const { head, body, hints } = this.#node(at)
    if (head % 16 === 1) return this.#entries(body, hints)
    if (head % 16 !== 3) throw new Error(`a directory of header ${head}`)
    body.varint()
    const below = this.#ids(
      hints,
      cells(body, () => {
        body.text()
        body.varint()
        body.varint()
        return body.varint()
      }),
    )
    return below.flatMap(({ at: branch }) => this.#dir(branch))
  }

  #entries(body: Bytes, hints: Hints): Entries {
    const entries = Array.from({ length: body.varint() }, () => {
      const name = body.text()
      const byte = body.u8()
      const entry = this.#item(byte, body, hints)
      const attributes: Record<string, string> = {}
      if ((byte & 0x40) !== 0) {
        const own = new Bytes(body.take(body.varint()))
        for (let left = own.varint(); left > 0; left--) attributes[own.text()] = own.text()
      }
      return { name, entry, attributes }
    })
    if (!body.isEnd) throw new Error('entries are left over')
    return entries
  }

  #item(byte: number, body: Bytes, hints: Hints): Entry {
    const kind = byte & 0x3f
    const replaces = byte >= 0x80 ? '!' : ''
    if (kind === 0) return { kind: 'inline', bytes: body.take(body.varint()) }
    if (kind === 1 || kind === 2) {
      const size = body.varint()
      return { kind: kind === 1 ? 'chunk' : 'list', size, at: hints.next(hex(body.take(32))) }
    }
    if (kind === 3 || kind === 4) {
      body.varint()
      const size = body.varint()
      return { kind: 'dir', size, at: hints.next(hex(body.take(32))) }
    }
    if (kind === 5) return { kind: 'mark', text: `${replaces}gone` }
    if (kind === 8) {
      const own = new Bytes(body.take(body.varint()))
      if (own.u8() % 16 !== 1) throw new Error('a small directory has another header')
      return { kind: 'small', dir: this.#entries(own, hints) }
    }
    const parts = Array.from({ length: body.varint() }, () => {
      const span = kind === 9 ? `${body.varint()}-${body.varint()}:` : ''
      const part = this.#item(body.u8(), body, hints)
      const text = part.kind === 'mark' ? part.text : `${this.#content(part).length}`
      return span + text
    })
    const name = { 6: 'append', 7: 'join', 9: 'splice' }[kind]
    if (!name) throw new Error(`an item of kind ${kind}`)
    return { kind: 'mark', text: `${replaces}${name}(${parts.join(' ')})` }
  }

  #ids<T>(
    hints: Hints,
    found: readonly { readonly id: string; readonly value: T }[],
  ): { readonly at: Id; readonly value: T }[] {
    return found.map(({ id, value }) => ({ at: hints.next(id), value }))
  }

  #node(at: Id): { readonly head: number; readonly body: Bytes; readonly hints: Hints } {
    const stored = this.#frame(at)
    const size = new DataView(stored.buffer, stored.byteOffset, 4).getUint32(0, true)
    const canonical = stored.subarray(4, 4 + size)
    this.#check(at.id, canonical, [1])
    const body = new Bytes(canonical)
    return { head: body.u8(), body, hints: new Hints(new Bytes(stored.subarray(4 + size))) }
  }

  #chunk(at: Id, size: number): Uint8Array {
    const bytes = this.#frame(at)
    this.#check(at.id, bytes, [])
    if (bytes.length !== size) throw new Error('a chunk has another size')
    return bytes
  }

  #check(id: string, bytes: Uint8Array, more: readonly number[]): void {
    const outer = Buffer.concat([this.#key, this.#hash(bytes), Uint8Array.from(more)])
    if (hex(this.#hash(outer)) !== id) throw new Error(`the bytes are not those of ${id}`)
  }

  /** What the frame at a place holds under this id. */
  #frame({ id, pack, offset, length }: Id): Uint8Array {
    const whole = this.#packs.get(pack)
    if (!whole) throw new Error(`there is no pack ${pack}`)
    const frame = new Bytes(whole.subarray(offset, offset + length))
    const codec = frame.u8()
    const count = frame.varint()
    const rawSize = frame.varint()
    const table = Array.from({ length: count }, () => ({
      prefix: hex(frame.take(8)),
      size: frame.varint(),
    }))
    const body = frame.take(frame.all.length - frame.at)
    const raw = codec === 1 ? zstdDecompressSync(body) : body
    if (raw.length !== rawSize) throw new Error('a frame has another size')
    let start = 0
    for (const { prefix, size } of table) {
      if (id.startsWith(prefix)) return raw.subarray(start, start + size)
      start += size
    }
    throw new Error(`${id} is not in its frame`)
  }
}

function cells<T>(body: Bytes, value: () => T): { readonly id: string; readonly value: T }[] {
  const found = Array.from({ length: body.varint() }, () => {
    const one = value()
    return { value: one, id: hex(body.take(32)) }
  })
  if (!body.isEnd) throw new Error('bytes are left over')
  return found
}

/** One place for each id of a node, in their order. */
class Hints {
  readonly #bytes: Bytes
  readonly #packs: readonly string[]
  #last: Where | undefined

  constructor(bytes: Bytes) {
    this.#bytes = bytes
    this.#packs = Array.from({ length: bytes.varint() }, () => hex(bytes.take(16)))
  }

  next(id: string): Id {
    const code = this.#bytes.varint()
    if (code > 0) {
      const end = this.#last ? this.#last.offset + this.#last.length : 0
      const offset = end + this.#bytes.zigzag()
      this.#last = { pack: this.#packs[code - 1] ?? '', offset, length: this.#bytes.varint() }
    }
    if (!this.#last) throw new Error('the first hint says nothing')
    return { id, ...this.#last }
  }
}
