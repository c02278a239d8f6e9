// Statements of the Cassandra adapter that a server cannot show to be right: which requests a call
// becomes, and how a bound that CQL cannot say is cut.

import { expect, test } from 'vitest'
import { projection } from '../../src/log/projection.ts'
import { WATERMARKS } from '../../src/log/tables.ts'
import { idSource } from '../../src/model/id.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { Cql, segmentsOf } from '../../src/tables/adapters/cassandra/cql.ts'
import { Recent, StatementsOf, batchesOf } from '../../src/tables/adapters/cassandra/facts.ts'
import { missingStatements } from '../../src/tables/adapters/cassandra/schema-diff.ts'
import { shapeOf } from '../../src/tables/shape.ts'
import { defineTable } from '../../src/tables/schema.ts'
import { putFact } from '../../src/tables/tables.ts'
import { FACTS, WIDE } from '../contract/tables.ts'

const cql = new Cql('ks')

test('a bound over columns that run different ways is cut into one part for each', () => {
  const shape = shapeOf(FACTS)
  const cut = (options: object): unknown[] =>
    segmentsOf(shape, shape.bounds(options)).map(({ where, parameters }) => [where, parameters])
  expect(cut({ after: { a: 1, b: 'x' } })).toEqual([
    [
      ['"a" = ?', '"b" < ?'],
      [1, 'x'],
    ],
    [['"a" > ?'], [1]],
  ])
  expect(cut({ after: { a: 1 }, before: { a: 9 }, reverse: true })).toEqual([
    [
      ['"a" < ?', '"a" > ?'],
      [1, 9],
    ],
  ])
  const wide = shapeOf(WIDE)
  const down = segmentsOf(wide, wide.bounds({ after: { seq: 1, part: new Uint8Array() } }))
  expect(down.map(({ where }) => where)).toEqual([['("seq", "part") < (?, ?)']])
})

test('rows of a partition go together, waves apart, and no batch is too big', () => {
  const rows = Array.from({ length: 2_500 }, (_, a) =>
    putFact(FACTS, { p: `p${a % 2}`, a, b: '', body: new Uint8Array(a < 4 ? 400_000 : 1) }, 1),
  )
  const last = { ...putFact(FACTS, { p: 'p0', a: 0, b: 'mark' }, 1), after: true as const }
  const waves = batchesOf(new StatementsOf(cql), [...rows, last], new Recent())
  expect(waves.length).toBe(2)
  expect(waves[1]?.map((batch) => batch.length)).toEqual([1])
  const sizes = waves[0]?.map((batch) => batch.length) ?? []
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2_500)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000)
  for (const batch of waves[0] ?? []) {
    expect(new Set(batch.map(({ params }) => params[0])).size).toBe(1)
    const bytes = batch.map(({ params }) => (params[4] as Buffer).length)
    expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1 << 20)
  }
})

test('the mark of a projection is a wave of its own, after all it speaks of', () => {
  const id = idSource(systemClock, systemRandom)()
  const entry = {
    seq: 7,
    id,
    atMs: 0,
    principal: '',
    cause: null,
    fingerprint: '',
    decision: { yes: [] },
  }
  const rows = [putFact(FACTS, { p: 'p', a: 1, b: '' }, 7)]
  const writes = projection({ project: () => rows }, 'project', 1, [entry])
  expect(writes.at(-1)).toMatchObject({ table: WATERMARKS, after: true })
})

test('a schema that lacks tables or columns grows; one that differs is refused', () => {
  const SMALL = defineTable({
    name: 'small',
    kind: 'facts',
    partition: ['key'],
    clustering: [],
    columns: { key: 'text', view: 'int', token: 'bytes' },
    ttlSeconds: 60,
  })
  expect(missingStatements(cql, [SMALL], [])).toEqual([
    `CREATE TABLE IF NOT EXISTS "ks"."small" (
  "key" text,
  "view" bigint,
  "token" blob,
  PRIMARY KEY (("key"))
) WITH compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T4'}
  AND default_time_to_live = 60`,
  ])
  const column = (name: string, type: string, kind = 'regular') => ({
    table_name: 'small',
    column_name: name,
    type,
    kind,
    position: 0,
    clustering_order: 'none',
  })
  const stored = [column('key', 'text', 'partition_key'), column('view', 'bigint')]
  expect(missingStatements(cql, [SMALL], stored)).toEqual([
    'ALTER TABLE "ks"."small" ADD IF NOT EXISTS "token" blob',
  ])
  const differs = [column('key', 'text', 'clustering'), column('view', 'bigint')]
  expect(() => missingStatements(cql, [SMALL], differs)).toThrow(
    'its column "key" is text clustering',
  )
})
