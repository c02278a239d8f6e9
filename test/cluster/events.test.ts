// Public events on a real Kafka, read by programs that know nothing of us: librdkafka's kcat and
// Confluent's Python client, with the schemas from our own registry.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/base/clock.ts'
import { must } from '../../src/base/assert.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { EventPublisher } from '../../src/events/publisher.ts'
import type { PublicEvent } from '../../src/events/public-events.ts'
import { KafkaBus } from '../../src/bus/adapters/kafka/bus.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { TOPIC_SPECS } from '../../src/bus/topics.ts'
import { partitionOf } from '../../src/kafka/murmur2.ts'
import { registryRoutes } from '../../src/server/registry.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { PROJECT, events, history } from '../events/history.ts'
import { makeWorld } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { cached } from '../services/cache.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { missingTools } from '../services/need.ts'
import { shared } from '../services/shared.ts'

const PARTITIONS = 4
const CONFLUENT_KAFKA = '2.16.0'

const hasPython = missingTools('python3', 'pip3').length === 0
const hasKcat = missingTools('kcat').length === 0
/** Distributions build it without: its Avro needs a library of Confluent's that they do not carry. */
const kcatHasAvro = hasKcat && /\bAvro\b/.test(await run('kcat', ['-V']))
if (hasKcat && !kcatHasAvro)
  console.warn('SKIPPED: this kcat is built without Avro; it reads keys and headers only')

let address: string
let topic: string
let registry: string
let world: World
const told = events(history())
const byKey = Map.groupBy(told, ({ key }) => key)

interface Read {
  readonly key: string
  readonly partition: number
  readonly headers: Readonly<Record<string, string>>
  readonly value: unknown
}

describe.skipIf(!kafkaAvailable)('events on Kafka', () => {
  beforeAll(async () => {
    address = await shared('kafka')
    const topicPrefix = `events-${randomUUID().slice(0, 8)}`
    topic = `${topicPrefix}.events.v1`
    world = await makeWorld({ extensions: [registryRoutes({ topic, version: '0' })] })
    registry = `${world.url}/registry`
    await publishHistory(topicPrefix)
  })
  afterAll(() => world.close())

  test.skipIf(!hasPython)(
    "Confluent's Python client decodes every event, fields equal",
    async () => {
      const packages = await pythonPackages()
      const script = join(import.meta.dirname, '../events/read_events.py')
      const out = await run('python3', [script, address, topic, registry, String(told.length)], {
        PYTHONPATH: packages,
      })
      const read = out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Read)
      expect(read).toHaveLength(told.length)
      for (const [key, expected] of byKey) {
        const found = read.filter((one) => one.key === key)
        expect(found.map(({ value }) => value)).toEqual(expected.map(dataOf))
        expect(found.map(({ headers }) => headers['ce_id'])).toEqual(expected.map(({ id }) => id))
        expect(new Set(found.map(({ partition }) => partition))).toEqual(
          new Set([partitionOf(utf8(key), PARTITIONS)]),
        )
      }
      for (const { headers } of read)
        expect(headers).toMatchObject({
          ce_specversion: '1.0',
          ce_source: '/varve/projects/default',
          'content-type': 'application/avro',
        })
    },
  )

  test.skipIf(!hasKcat)('kcat reads keys and headers', async () => {
    const out = await kcat('-f', '%k %h\\n')
    const lines = out.trimEnd().split('\n')
    for (const [key, expected] of byKey) {
      const found = lines.filter((line) => line.startsWith(`${key} `))
      expect(found.map((line) => /ce_id=([^,]*)/.exec(line)?.[1])).toEqual(
        expected.map(({ id }) => id),
      )
    }
  })

  test.skipIf(!kcatHasAvro)('kcat decodes the values', async () => {
    const out = await kcat('-s', 'value=avro', '-r', registry, '-f', '%s\\n')
    const read = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number; request: string; atMicros: number })
    const bySeq = told.map(({ data }) => [data['seq'], data['request'], data['atMicros']].join())
    const found = read.map(({ seq, request, atMicros }) => [seq, request, atMicros].join())
    expect(found.toSorted()).toEqual(bySeq.toSorted())
  })
})

function kcat(...args: readonly string[]): Promise<string> {
  return run('kcat', ['-C', '-b', address, '-t', topic, '-o', 'beginning', '-e', '-q', ...args])
}

/** What the server-sent event carries. */
function dataOf({ data }: PublicEvent): unknown {
  return JSON.parse(JSON.stringify(data))
}

/** Through the publisher, with a log that is the history and nothing else. */
async function publishHistory(topicPrefix: string): Promise<void> {
  const spec = must(TOPIC_SPECS[TOPICS.events], 'the topic of events')
  const bus = await KafkaBus.open({
    connection: { brokers: [address] },
    topicPrefix,
    replication: 1,
    clock,
    topics: { [TOPICS.events]: { ...spec, partitions: PARTITIONS } },
  })
  const stop = new AbortController()
  let sent = 0
  const publisher = new EventPublisher({
    versions: {
      projects: async function* () {
        yield { name: PROJECT, createdAtMs: 0 }
      },
      watermark: async () => 0,
      follow: async function* (project, after, signal) {
        if (project === PROJECT) yield* history().slice(after)
        if (!signal.aborted)
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    },
    bus: {
      publish: async (name, messages) => {
        await bus.publish(name, messages)
        sent += messages.length
        if (sent >= told.length) stop.abort()
      },
    },
    tables: new MemoryTables(),
    clock,
    own: (_name, signal, work) => work(signal),
    source: '/varve',
    partitionOf: (key) => partitionOf(utf8(key), PARTITIONS),
  })
  await publisher.run(stop.signal)
  await bus.close()
  expect(sent).toBe(told.length)
}

/** The folder of Confluent's client and what it needs, for this Python. */
async function pythonPackages(): Promise<string> {
  const [, version] = (await run('python3', ['--version'])).trim().split(' ')
  return cached(
    `python-${version}-confluent-kafka-${CONFLUENT_KAFKA}`,
    `Fetching confluent-kafka ${CONFLUENT_KAFKA} with pip, 20 MB, usually 5 to 20 s`,
    async (folder) => {
      mkdirSync(folder, { recursive: true })
      const wanted = `confluent-kafka[avro,schemaregistry]==${CONFLUENT_KAFKA}`
      const quiet = ['--quiet', '--disable-pip-version-check']
      await run('python3', ['-m', 'pip', 'install', ...quiet, '--target', folder, wanted])
    },
  )
}

async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let [out, failure] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (failure += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${failure.slice(-4000)}`)
  return out
}
