// What every adapter of the port BlobStore promises. `make` gives a fresh, empty store.

import { beforeAll, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { AssertionError } from '../../src/base/assert.ts'
import { utf8 } from '../../src/base/bytes.ts'
import type { BlobStore } from '../../src/blob/blob.ts'

async function keys(list: AsyncIterable<{ key: string; sizeBytes: number }>): Promise<string[]> {
  const all: string[] = []
  for await (const { key, sizeBytes } of list) all.push(`${key} ${sizeBytes}`)
  return all
}

export function blobContract(name: string, make: () => Promise<BlobStore>): void {
  describe(`blob store: ${name}`, () => {
    let store: BlobStore
    beforeAll(async () => {
      store = await make()
    })

    test('what was put comes back, whole and in ranges; a range beyond the end is cut', async () => {
      const bytes = utf8('0123456789')
      await store.put([
        { key: 'whole/a', bytes },
        { key: 'whole/empty', bytes: new Uint8Array() },
      ])
      bytes.fill(0)
      expect(await store.get('whole/a')).toEqual(utf8('0123456789'))
      expect(await store.get('whole/a', { offset: 3, length: 4 })).toEqual(utf8('3456'))
      expect(await store.get('whole/a', { offset: 8, length: 100 })).toEqual(utf8('89'))
      expect(await store.get('whole/a', { offset: 50, length: 1 })).toEqual(new Uint8Array())
      expect(await store.get('whole/empty')).toEqual(new Uint8Array())
      expect(await store.head('whole/a')).toBe(10)
    })

    test('what is absent is undefined, and deleting it is no error', async () => {
      expect(await store.get('absent')).toBeUndefined()
      expect(await store.get('absent/below', { offset: 0, length: 1 })).toBeUndefined()
      expect(await store.head('absent')).toBeUndefined()
      await store.delete(['absent', 'absent/below'])
    })

    test('a put repeated is harmless, a deleted object is gone', async () => {
      const objects = [
        { key: 'again/a', bytes: utf8('a') },
        { key: 'again/b', bytes: utf8('b') },
      ]
      await Promise.all([store.put(objects), store.put(objects), store.put(objects)])
      await store.delete(['again/a'])
      expect(await keys(store.list('again/'))).toEqual(['again/b 1'])
      expect(await store.get('again/a')).toBeUndefined()
    })

    test('bytes that came belong to who asked: changing them changes nothing here', async () => {
      await store.put([{ key: 'mine/a', bytes: utf8('0123456789') }])
      for (const range of [undefined, { offset: 0, length: 10 }]) {
        const bytes = await store.get('mine/a', range)
        expect(bytes?.byteLength).toBe(bytes?.buffer.byteLength)
        bytes?.fill(0)
      }
      expect(await store.get('mine/a')).toEqual(utf8('0123456789'))
    })

    test('an object that is being read may be deleted: whole or absent, then gone for good', async () => {
      const bytes = new Uint8Array(100_000).fill(7)
      await store.put([{ key: 'going/a', bytes }])
      await store.get('going/a', { offset: 5, length: 5 })
      const reads = Array.from({ length: 20 }, () => store.get('going/a'))
      await store.delete(['going/a'])
      for (const read of await Promise.all(reads))
        if (read !== undefined) expect(read).toEqual(bytes)
      expect(await store.get('going/a')).toBeUndefined()
      await store.put([{ key: 'going/a', bytes: bytes.subarray(0, 9) }])
      expect(await store.get('going/a')).toEqual(bytes.subarray(0, 9))
    })

    test('a key that could leave the store is refused', async () => {
      for (const key of [
        '../x',
        'a/../b',
        '/a',
        'a//b',
        '',
        '.',
        'a/',
        'a b',
        'ä',
        'x'.repeat(256),
      ])
        await expect(store.put([{ key, bytes: utf8('x') }])).rejects.toThrow(AssertionError)
    })

    test('lists are in byte order of whole keys, from any prefix, after any key', async () => {
      // "-" and "." sort before "/": a directory is not simply its name.
      const part = fc.constantFrom('a', 'a-b', 'a.b', 'ab', 'B', '0', 'z_')
      const key = fc
        .array(part, { minLength: 1, maxLength: 3 })
        .map((parts) => parts.join('/') + '/f')
      let round = 0
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(key, { maxLength: 12 }),
          key,
          fc.nat(8),
          async (all, after, cut) => {
            const root = `list${round++}/`
            await store.put(all.map((each) => ({ key: root + each, bytes: utf8(each) })))
            const sorted = all.map((each) => root + each).toSorted((x, y) => (x < y ? -1 : 1))
            const shown = (list: string[]): string[] =>
              list.map((each) => `${each} ${each.length - root.length}`)
            expect(await keys(store.list(root))).toEqual(shown(sorted))
            const prefix = root + after.slice(0, cut)
            expect(await keys(store.list(prefix, root + after))).toEqual(
              shown(sorted.filter((each) => each.startsWith(prefix) && each > root + after)),
            )
          },
        ),
        { numRuns: 30 },
      )
    })

    test('where there are addresses, one opens what it was made for and nothing else', async () => {
      if (!store.presign) return
      const bytes = Uint8Array.from({ length: 5_000 }, (_, i) => i * 7)
      await store.put([
        { key: 'open/a', bytes },
        { key: 'open/b', bytes },
      ])
      const { url, headers } = await store.presign('open/a', { offset: 100, length: 50 }, 60)
      const answer = await fetch(url, { headers })
      expect(answer.ok).toBe(true)
      expect(await answer.bytes()).toEqual(bytes.subarray(100, 150))
      for (const range of ['bytes=100-150', 'bytes=0-4999', 'bytes=100-'])
        expect((await fetch(url, { headers: { ...headers, range } })).ok).toBe(false)
      expect((await fetch(url)).ok).toBe(false)
      const whole = await store.presign('open/a', undefined, 60)
      const all = await fetch(whole.url, { headers: whole.headers })
      expect(await all.bytes()).toEqual(bytes)
      expect((await fetch(whole.url.replace('open/a', 'open/b'))).ok).toBe(false)
    })

    test('many puts at once all arrive', async () => {
      const bytes = (i: number): Uint8Array => new Uint8Array(i * 37).fill(i)
      await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          store.put([
            { key: `many/${i % 5}/${i}`, bytes: bytes(i) },
            { key: `many/x/${i}`, bytes: bytes(i) },
          ]),
        ),
      )
      for (let i = 0; i < 40; i++) expect(await store.get(`many/${i % 5}/${i}`)).toEqual(bytes(i))
      expect((await keys(store.list('many/x/'))).length).toBe(40)
    })
  })
}
