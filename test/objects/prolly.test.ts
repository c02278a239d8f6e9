import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { compareUtf8 } from '../../src/base/bytes.ts'
import {
  cellsOf,
  edited,
  find,
  MAX_NODE_BYTES,
  WHOLE_BYTES,
} from '../../src/objects/trees/prolly.ts'
import type { Branch, Cell, Edit, Nodes } from '../../src/objects/trees/prolly.ts'
import { differences } from '../../src/objects/trees/differences.ts'
import { seededRandom } from '../../src/base/random.ts'

/** Nodes of texts, in memory, that count what is read of them. */
class TextNodes implements Nodes<string, Branch> {
  readonly stored = new Map<string, readonly Cell<unknown>[]>()
  reads = 0

  cells(leaf: Branch): Promise<readonly Cell<string>[]> {
    return this.#load(leaf)
  }

  branches(inner: Branch): Promise<readonly Cell<Branch>[]> {
    return this.#load(inner)
  }

  saveWhole(cells: readonly Cell<string>[]): Branch {
    return this.saveCells(cells)
  }

  saveCells(cells: readonly Cell<string>[]): Branch {
    const bytes = cells.reduce((sum, cell) => sum + this.cellBytes(cell), 0)
    return this.#save(0, cells, bytes)
  }

  saveBranches(level: number, branches: readonly Cell<Branch>[]): Branch {
    return this.#save(
      level,
      branches,
      branches.reduce((sum, { value }) => sum + value.cellBytes, 0),
    )
  }

  cellBytes({ name, value }: Cell<string>): number {
    return name.length + value.length + 4
  }

  branchBytes({ name }: Cell<Branch>): number {
    return name.length + 44
  }

  hash(level: number, { name }: { readonly name: string }): number {
    return createHash('sha256').update(`${level} ${name}`).digest().readUInt32LE()
  }

  #save(level: number, cells: readonly Cell<unknown>[], cellBytes: number): Branch {
    const id = createHash('sha256')
      .update(JSON.stringify([level, cells]))
      .digest('hex')
    this.stored.set(id, cells)
    return { name: cells.at(-1)?.name ?? '', level, id, cellBytes }
  }

  #load<V>({ id = '' }: Branch): Promise<readonly Cell<V>[]> {
    this.reads++
    return Promise.resolve(this.stored.get(id) as readonly Cell<V>[])
  }
}

const sorted = (edits: Map<string, string | undefined>): Edit<string>[] =>
  [...edits].toSorted(([a], [b]) => compareUtf8(a, b)).map(([name, value]) => ({ name, value }))

async function contentOf(nodes: TextNodes, root: Branch | undefined): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const { name, value } of cellsOf(nodes, root)) found.set(name, value)
  return found
}

test('the same cells make the same tree, by whatever steps they came', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed)
    const int = (n: number): number => Math.floor(random.next() * n)
    const nodes = new TextNodes()
    const model = new Map<string, string>()
    let root: Branch | undefined
    const range = [300, 3_000, 20_000][int(3)] as number
    for (let step = 0; step < 12; step++) {
      const edits = new Map<string, string | undefined>()
      const deletes = random.next() < 0.4 ? 0.9 : 0.2
      for (let n = int(step === 0 ? range : ([4, 40, range][int(3)] as number)); n > 0; n--) {
        const name = `n${int(range)}`
        const value =
          random.next() < deletes ? undefined : 'v'.repeat(int(int(20) === 0 ? 9_000 : 200))
        edits.set(name, value)
      }
      const before = root
      const old = new Map(model)
      root = await edited(nodes, root, sorted(edits))
      for (const [name, value] of edits)
        if (value === undefined) model.delete(name)
        else model.set(name, value)
      const atOnce = await edited(new TextNodes(), undefined, sorted(new Map(model)))
      expect(root?.id, `seed ${seed}, step ${step}`).toBe(atOnce?.id)
      expect(root?.cellBytes).toBe(atOnce?.cellBytes)
      expect(await contentOf(nodes, root)).toEqual(model)
      const names = new Set([...old.keys(), ...model.keys()])
      const wanted = [...names]
        .filter((name) => old.get(name) !== model.get(name))
        .toSorted(compareUtf8)
        .map((name) => ({ name, old: old.get(name), new: model.get(name) }))
      const told = await Array.fromAsync(differences(nodes, before, root, (a, b) => a === b))
      expect(told).toEqual(wanted)
    }
  }
})

test('a change of one cell reads and writes a path, whatever the size', async () => {
  const nodes = new TextNodes()
  const all = new Map<string, string>()
  for (let i = 0; i < 200_000; i++) all.set(`f${String(i * 7_919).padStart(12, '0')}`, `v${i}`)
  const root = await edited(nodes, undefined, sorted(all))
  expect(root?.level).toBe(1)
  for (const [name, value] of [
    ['f000000791900', 'new'],
    ['f00000079190x', 'more'],
    ['f000000791900', undefined],
    ['zzz', 'last'],
  ] as const) {
    nodes.reads = 0
    const stored = nodes.stored.size
    const changed = await edited(nodes, root, [{ name, value }])
    expect(nodes.reads).toBeLessThan(16)
    expect(nodes.stored.size - stored).toBeLessThanOrEqual(4)
    expect(await find(nodes, changed, name)).toBe(value)
    nodes.reads = 0
    const told = await Array.fromAsync(differences(nodes, root, changed, (a, b) => a === b))
    expect(told.map((one) => one.name)).toEqual([name])
    expect(nodes.reads).toBeLessThan(10)
  }
})

test('nodes have the sizes they should', async () => {
  const nodes = new TextNodes()
  const all = new Map<string, string>()
  for (let i = 0; i < 100_000; i++) all.set(`f${i}`, 'v'.repeat(i % 80))
  const root = (await edited(nodes, undefined, sorted(all))) as Branch
  const leaves = (await nodes.branches(root)).map((one) => one.value.cellBytes)
  const mean = leaves.reduce((sum, bytes) => sum + bytes, 0) / leaves.length
  expect(Math.max(...leaves)).toBeLessThanOrEqual(MAX_NODE_BYTES + 100)
  expect(mean).toBeGreaterThan(24 * 1024)
  expect(mean).toBeLessThan(48 * 1024)
  const few = new Map([...all].slice(0, 1_000))
  const small = (await edited(nodes, undefined, sorted(few))) as Branch
  expect(small.cellBytes).toBeLessThanOrEqual(WHOLE_BYTES)
  expect(small.level).toBe(0)
})

test('what is read begins after any name', async () => {
  const nodes = new TextNodes()
  const all = new Map<string, string>()
  for (let i = 0; i < 20_000; i++) all.set(`f${String(i).padStart(5, '0')}`, 'v')
  const root = await edited(nodes, undefined, sorted(all))
  nodes.reads = 0
  for await (const { name } of cellsOf(nodes, root, 'f12344')) {
    expect(name).toBe('f12345')
    break
  }
  expect(nodes.reads).toBeLessThanOrEqual((root?.level ?? 0) + 1)
  expect(await Array.fromAsync(cellsOf(nodes, root, 'f19999'))).toEqual([])
})
