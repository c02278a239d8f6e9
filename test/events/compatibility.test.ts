// FULL_TRANSITIVE against everything that was released: whoever kept a message or a schema of any
// release goes on. And the check itself is checked with changes that must not pass.
// A release keeps a copy of schemas/events/*.avsc and index.json as released/<version>, never touched again.

import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { must } from '../../src/base/assert.ts'
import { canonicalForm } from '../../src/events/canonical.ts'
import { eventTypes, newest } from '../../src/events/catalogue.ts'
import { avroRecord, field, record } from '../../src/events/shape.ts'
import { breaches, incompatibilities } from './compatibility.ts'
import type { AvroField } from './compatibility.ts'

const RELEASED = resolve(import.meta.dirname, '../../schemas/events/released')

interface Row {
  readonly id: number
  readonly type: string
  readonly version: number
  readonly fingerprint: string
  readonly file: string
}

const read = (...path: readonly string[]): unknown =>
  JSON.parse(readFileSync(join(RELEASED, ...path), 'utf8'))

const all = eventTypes().flatMap((one) => one.versions.map((version) => ({ ...version, one })))

describe.each(readdirSync(RELEASED))('what was released as %s', (release) => {
  const rows = read(release, 'index.json') as readonly Row[]

  test('it is all there', () => {
    expect(rows.length).toBeGreaterThan(0)
    expect(new Set(rows.map((row) => row.file)).size).toBe(
      readdirSync(join(RELEASED, release)).length - 1,
    )
  })

  test.each(rows)('$type: id $id still means that schema', ({ id, type, version, fingerprint }) => {
    const now = must(
      all.find((one) => one.id === id),
      `schema ${id}`,
    )
    expect({ type: now.one.type, version: now.version, fingerprint: now.fingerprint }).toEqual({
      type,
      version,
      fingerprint,
    })
  })

  test.each(rows)('$type: every version of today reads it and is read by it', ({ type, file }) => {
    const then = read(release, file)
    const today = must(
      eventTypes().find((one) => one.type === type),
      type,
    )
    for (const { schema } of today.versions) expect(incompatibilities(schema, then)).toEqual([])
    const newestThen = rows.filter((row) => row.type === type).at(-1)
    const same = today.versions.find(({ id }) => id === newestThen?.id)
    expect(canonicalForm(same?.schema)).toBe(canonicalForm(then))
  })
})

describe('the check', () => {
  const base = newest(must(eventTypes()[1], 'a type')).schema
  const changed = (change: (fields: readonly AvroField[]) => readonly AvroField[]): unknown => ({
    ...base,
    fields: change(base.fields),
  })
  const retyped = (name: string, type: unknown, more: object = {}): unknown =>
    changed((fields) => fields.map((one) => (one.name === name ? { ...one, type, ...more } : one)))

  test.each<[string, unknown]>([
    ['an optional field more', changed((all) => [...all, optional('extra')])],
    ['an optional field less', changed((all) => all.filter(({ name }) => name !== 'parent'))],
    ['other words', { ...base, doc: 'other' }],
    ['another order', changed(([first, ...rest]) => [...rest, ...(first ? [first] : [])])],
  ])('lets pass: %s', (_, schema) => {
    expect(incompatibilities(schema, base)).toEqual([])
  })

  test.each<[string, unknown]>([
    ['a needed field more', changed((all) => [...all, { name: 'x', type: 'string', doc: 'x' }])],
    ['a needed field less', changed((all) => all.filter(({ name }) => name !== 'repo'))],
    ['another name', changed((all) => all.map((one) => renamed(one, 'repo')))],
    ['another type', retyped('repo', 'long')],
    ['a wider type, which only the new one reads', retyped('openedSeq', 'double')],
    ['a needed field made optional', retyped('repo', ['null', 'string'], { default: null })],
    ['an optional field made needed', retyped('parent', 'string', { default: '' })],
    ['milliseconds', retyped('atMicros', { type: 'long', logicalType: 'timestamp-millis' })],
    ['a number for a time', retyped('endedAtMicros', ['null', 'long'])],
    ['another list', retyped('provenance', { type: 'array', items: 'string' })],
    ['another record', { ...base, name: 'CommitEnded' }],
  ])('refuses: %s', (_, schema) => {
    expect(incompatibilities(schema, base)).not.toEqual([])
  })
})

describe('a schema that grows', () => {
  const shape = record('Grown', 'A test', {
    a: field('string', 'From the start'),
    b: field(
      { orNull: record('Inner', 'In it', { c: field({ mapOf: 'long' }, 'Later', 3) }) },
      'Later',
      2,
    ),
  })
  const [first, second, third] = [1, 2, 3].map((n) => avroRecord(shape, 'n', n))

  test('has each version from one declaration, and all read each other', () => {
    expect(first?.fields.map(({ name }) => name)).toEqual(['a'])
    expect(second?.fields.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(canonicalForm(second)).not.toBe(canonicalForm(third))
    for (const one of [first, second, third])
      for (const other of [first, second, third]) expect(incompatibilities(one, other)).toEqual([])
  })
})

describe('our rules', () => {
  test('every schema keeps them', () => {
    for (const { schema } of all) expect(breaches(schema)).toEqual([])
  })

  test('ids are used once, and versions go 1, 2, 3', () => {
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
    for (const { versions } of eventTypes())
      expect(versions.map(({ version }) => version)).toEqual(versions.map((_, n) => n + 1))
  })

  test.each<[string, unknown]>([
    ['a union of two', { type: ['null', 'string', 'long'], doc: 'x', default: null }],
    ['a union with null last', { type: ['string', 'null'], doc: 'x', default: '' }],
    ['no default', { type: ['null', 'string'], doc: 'x' }],
    ['no words', { type: 'string' }],
    ['an enum', { type: { type: 'enum', name: 'E', symbols: ['A'] }, doc: 'x' }],
    ['an int', { type: 'int', doc: 'x' }],
    ['milliseconds', { type: { type: 'long', logicalType: 'timestamp-millis' }, doc: 'x' }],
  ])('are broken by: %s', (_, one) => {
    const schema = {
      type: 'record',
      name: 'R',
      doc: 'x',
      fields: [{ name: 'f', ...(one as object) }],
    }
    expect(breaches(schema)).not.toEqual([])
  })
})

function optional(name: string): AvroField {
  return { name, type: ['null', 'string'], doc: 'x', default: null }
}

function renamed(one: AvroField, from: string): AvroField {
  return one.name === from ? { ...one, name: `${from}Name` } : one
}
