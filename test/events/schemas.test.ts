// The catalogue, its files, and the bytes: what an event says comes back the same.

import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { eventFiles, eventsPage } from '../../scripts/generate.ts'
import { must } from '../../src/base/assert.ts'
import { decode, encode } from '../../src/events/avro.ts'
import { canonicalForm, fingerprint } from '../../src/events/canonical.ts'
import { eventType, eventTypes, newest } from '../../src/events/catalogue.ts'
import { cloudEvent, rfc3339 } from '../../src/events/cloud-event.ts'
import { eventOf, poolNews } from '../../src/events/pool-news.ts'
import type { PublicEvent } from '../../src/events/public-events.ts'
import { PROJECT, events, history } from './history.ts'
import { HINDERED } from './hindered-pool.ts'

const SCHEMAS = resolve(import.meta.dirname, '../../schemas')

test('the files are what the catalogue gives', () => {
  const files = eventFiles()
  for (const [file, text] of Object.entries(files))
    expect(readFileSync(resolve(SCHEMAS, file), 'utf8'), file).toBe(text)
  const page = readFileSync(resolve(SCHEMAS, '../docs/events.md'), 'utf8')
  expect(page).toBe(eventsPage(page))
  const there = readdirSync(resolve(SCHEMAS, 'events')).map((file) => `events/${file}`)
  expect(there.filter((file) => !(file in files))).toEqual(['events/released'])
})

/** Of entries, and of a pool, which no entry tells of. */
function allTold(): PublicEvent[] {
  const pools = poolNews(new Map(), [HINDERED]).news.map((one) => eventOf(one, 1_700_000_000_000))
  return [...events(history()), ...pools]
}

test('every type happens in the history, and its bytes say what the event says', () => {
  const told = allTold()
  expect(new Set(told.map(({ type }) => type))).toEqual(
    new Set(eventTypes().map(({ type }) => type)),
  )
  for (const { type, data } of told) {
    const { data: back, ...of } = decode(encode(newest(eventType(type)), data))
    expect(of).toEqual({ type })
    // As JSON: what the server-sent event carries.
    expect(JSON.parse(JSON.stringify(back))).toEqual(JSON.parse(JSON.stringify(data)))
  }
})

test('an event is told with the fields of its schema and no others', () => {
  for (const { type, data } of allTold())
    expect(Object.keys(data)).toEqual(newest(eventType(type)).schema.fields.map(({ name }) => name))
})

test('what does not fit a schema is refused', () => {
  const [event] = events(history())
  const { type, data } = must(event, 'an event')
  expect(() => encode(newest(eventType(type)), { ...data, seq: null })).toThrow(/seq|invalid/)
  expect(() => decode(new Uint8Array([1, 0, 0, 0, 1, 0]))).toThrow('prefix')
  expect(() => decode(new Uint8Array([0, 0, 0, 9, 9, 0]))).toThrow('no schema 2313')
})

test('the canonical form and the fingerprint are those of the specification', () => {
  // The specification's own: CRC-64-AVRO of "null" begins with the bytes 63 dd 24 e7 cc 25 8f 8a.
  expect(fingerprint('null')).toBe('63dd24e7cc258f8a')
  expect(fingerprint('string')).toBe('8f014872634503c7')
  const schema = {
    doc: 'words',
    fields: [
      { default: null, name: 'a', type: ['null', { type: 'string' }] },
      { name: 'b', type: { items: { name: 'In', type: 'record', fields: [] }, type: 'array' } },
      { name: 'c', type: { type: 'map', values: 'In' } },
      { name: 'd', type: { type: 'fixed', name: 'other.F', size: '16' } },
    ],
    type: 'record',
    namespace: 'n.s',
    name: 'R',
  }
  expect(canonicalForm(schema)).toBe(
    '{"name":"n.s.R","type":"record","fields":[{"name":"a","type":["null","string"]},' +
      '{"name":"b","type":{"type":"array","items":{"name":"n.s.In","type":"record","fields":[]}}},' +
      '{"name":"c","type":{"type":"map","values":"n.s.In"}},' +
      '{"name":"d","type":{"name":"other.F","type":"fixed","size":16}}]}',
  )
})

test('a message is a CloudEvent in binary mode', () => {
  const event = must(
    events(history()).find(({ type }) => type === 'dev.varve.commit.finished.v1'),
    'a finished commit',
  )
  const keys: string[] = []
  const partitionOf = (key: string): number => keys.push(key) + 4
  const options = { source: '/varve', partitionOf }
  const message = cloudEvent(PROJECT, event, options)
  expect(message).toMatchObject({ partition: 5, key: 'default/numbers' })
  expect(keys).toEqual(['default/numbers'])
  expect([...message.value.subarray(0, 5)]).toEqual([0, 0, 0, 0, 2])
  expect(message.headers).toEqual({
    ce_specversion: '1.0',
    ce_id: event.id,
    ce_source: '/varve/projects/default',
    ce_type: 'dev.varve.commit.finished.v1',
    ce_subject: event.subject,
    ce_time: new Date(event.atMs).toISOString(),
    'content-type': 'application/avro',
    'varve-schema-fingerprint': newest(eventType(event.type)).fingerprint,
  })
  const registryUrl = 'http://h/registry'
  expect(cloudEvent(PROJECT, event, { ...options, registryUrl }).headers['ce_dataschema']).toBe(
    'http://h/registry/schemas/ids/2',
  )
})

test('an event too large for a message is told without its lists and maps', () => {
  const event = must(
    events(history()).find(({ data }) => data['feed'] != null && data['state'] === 'finished'),
    'the commit of a spout',
  )
  const sources = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, n) => [`repo-number-${n}@master`, event.id.padEnd(40)]),
  )
  const large = { ...event, data: { ...event.data, sources } }
  const options = { source: '', partitionOf: () => 0 }
  const { headers, value } = cloudEvent(PROJECT, large, options)
  expect(headers['varve-shortened']).toBe('true')
  expect(value.length).toBeLessThan(2_000)
  const { commit, parent } = event.data
  expect(decode(value).data).toMatchObject({
    commit,
    parent,
    sources: {},
    provenance: [],
    feed: null,
  })
  expect(cloudEvent(PROJECT, event, options).headers).not.toHaveProperty('varve-shortened')
})

test('times are written as everybody writes them', () => {
  const years = Array.from({ length: 400 }, (_, n) => Date.UTC(1904 + 5 * n, 1, 28) + 12_345_678)
  const leaps = [0, -1, 951_782_399_999, 951_782_400_000, 951_868_800_000, 4_107_542_399_999]
  for (const ms of [...years, ...years.map((at) => at + 86_400_000), ...leaps])
    expect(rfc3339(ms)).toBe(new Date(ms).toISOString())
})
