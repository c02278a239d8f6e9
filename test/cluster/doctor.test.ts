// What stands between a server and what it needs, as whoever runs it sees it: real processes of the
// command line, real servers, one thing wrong at a time.

import { beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../src/base/check.ts'
import { systemClock } from '../../src/base/clock.ts'
import { parseOptions } from '../../src/config/parse.ts'
import { examine } from '../../src/main/examine.ts'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { cli } from '../e2e/product.ts'
import type { Ran } from '../e2e/product.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { withAdmin } from '../services/kafkajs.ts'
import { freePort } from '../services/process.ts'
import { registryAvailable } from '../services/registry.ts'
import { createBucket, s3Available } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { clusterEnv } from './cluster.ts'

const NAME = `doctor${process.pid}x${Date.now() % 100_000}`
const UNAVAILABLE = 5
const COLUMNS = 100
let env: Record<string, string>
let nobody: string

const doctor = (changes: Record<string, string>, ...args: string[]): Promise<Ran> =>
  cli(['doctor', '--server', ...args], { env: { ...env, ...changes } })

/** `✗ failed   what …` with the lines below it, each as one line. */
function failures(text: string): string[] {
  const entries: string[] = []
  for (const line of text.split('\n')) {
    expect(line.length, line).toBeLessThanOrEqual(COLUMNS)
    if (/^[✓!✗]/u.test(line)) entries.push(line)
    else if (line.startsWith('   '))
      entries.push(`${entries.pop()?.replace(/ \\$/, '') ?? ''} ${line.trim()}`)
  }
  return entries.filter((entry) => entry.startsWith('✗'))
}

/** Of a start; among it are lines of the log. */
function inTheWay({ stderr }: Ran): string[] {
  const [, after = ''] = stderr.split('what is in the way:')
  return failures(after.replaceAll(/^\{.*$/gm, ''))
}

function expectCalm(ran: Ran): void {
  const all = ran.stdout + ran.stderr
  expect(all).not.toMatch(/^\s+at .*:\d+:\d+/m)
  // oxlint-disable-next-line no-control-regex
  expect(all).not.toMatch(/\x1b\[/)
  for (const secret of [env['VARVE_CLUSTER_SECRET'], 'not-the-secret-key', env['VARVE_TOKEN']])
    expect(all).not.toContain(secret)
}

interface Fault {
  readonly changes: () => Record<string, string>
  /** The thing, the cause, the remedy. */
  readonly says: readonly RegExp[]
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'nobody at the address of Kafka': {
    changes: () => ({ VARVE_KAFKA: nobody }),
    says: [/Kafka at 127\.0\.0\.1/, /nobody listens there/, /try: .*VARVE_KAFKA/],
  },
  'something else at the address of Kafka': {
    changes: () => ({ VARVE_KAFKA: new URL(env['VARVE_S3_ENDPOINT'] ?? '').host }),
    says: [/Kafka at/, /does not answer as Kafka/, /try: .*look whether this is a broker/],
  },
  'nobody at the address of Cassandra': {
    changes: () => ({ VARVE_CASSANDRA: nobody }),
    says: [/Cassandra at/, /nothing listens there/, /try: .*VARVE_CASSANDRA/],
  },
  'a data centre that is not there': {
    changes: () => ({ VARVE_CASSANDRA_DATACENTER: 'elsewhere' }),
    says: [/Cassandra at/, /no data centre "elsewhere"/, /VARVE_CASSANDRA_DATACENTER to one of/],
  },
  'nobody at the address of the store': {
    changes: () => ({ VARVE_S3_ENDPOINT: `http://${nobody}` }),
    says: [/S3 at/, /ECONNREFUSED/, /try: .*VARVE_S3_ENDPOINT/],
  },
  'a bucket that is not there': {
    changes: () => ({ VARVE_S3_BUCKET: `${NAME}-absent` }),
    says: [/bucket "doctor/, /no such bucket/, /aws s3api create-bucket --bucket doctor\S*-absent/],
  },
  'a wrong key of the store': {
    changes: () => ({ VARVE_S3_SECRET_KEY: 'not-the-secret-key' }),
    says: [/bucket "/, /keys are not accepted/, /VARVE_S3_ACCESS_KEY and VARVE_S3_SECRET_KEY/],
  },
}

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('doctor', () => {
  beforeAll(async () => {
    const [kafka, cassandra, s3] = await Promise.all([
      shared('kafka'),
      shared('cassandra'),
      shared('s3'),
    ])
    await createBucket(s3, NAME)
    nobody = `127.0.0.1:${await freePort()}`
    env = {
      ...clusterEnv({ kafka, cassandra, s3, name: NAME, replication: 1 }),
      VARVE_CLUSTER_SECRET: 'a-secret-of-32-characters-or-more',
      VARVE_TOKEN: 'token-of-the-doctor',
      VARVE_START_PATIENCE_SECONDS: '2',
      VARVE_PORT: '0',
    }
    const keyspace = { contactPoints: [cassandra], datacenter: 'datacenter1', keyspace: NAME }
    await (await CassandraTables.open(keyspace, [])).close()
  })

  test('all is well: every line says so', async () => {
    const ran = await doctor({})
    expect(ran.stdout.split('\n').filter((line) => !/^✓ ok {7}\S|^$/.test(line))).toEqual([])
    expect(ran.stdout).toMatch(/topic ".*\.log\.v1"/)
    expect(ran.stdout).toMatch(/an object/)
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    expectCalm(ran)
  })

  test.each(Object.entries(FAULTS))('%s', async (_, { changes, says }) => {
    const ran = await doctor(changes())
    expect(ran.code).toBe(UNAVAILABLE)
    const failed = failures(ran.stdout)
    expect(failed).toHaveLength(1)
    for (const words of says) expect(failed[0]).toMatch(words)
    // What does not hang on it is examined all the same.
    expect(ran.stdout.match(/^✓/gm)?.length).toBeGreaterThan(8)
    expectCalm(ran)
  })

  test('two at once, for a program', async () => {
    const changes = { VARVE_KAFKA: nobody, VARVE_S3_BUCKET: `${NAME}-absent` }
    const ran = await doctor(changes, '-o', 'json')
    expect(ran.code).toBe(UNAVAILABLE)
    const checks = JSON.parse(ran.stdout) as Check[]
    const failed = checks.filter(({ state }) => state === 'failed')
    expect(failed).toEqual([
      {
        what: `Kafka at ${nobody}`,
        state: 'failed',
        found: expect.any(String),
        remedy: expect.any(String),
      },
      {
        what: `bucket "${NAME}-absent"`,
        state: 'failed',
        found: expect.any(String),
        remedy: expect.any(String),
      },
    ])
    expect(new Set(checks.map(({ what }) => what)).size, 'names are told apart').toBe(checks.length)
  })

  test.runIf(registryAvailable)('the registry: well, and away', async () => {
    const well = await doctor({ VARVE_REGISTRY: await shared('registry') })
    expect(well).toMatchObject({ code: 0, stderr: '' })
    expect(well.stdout).toMatch(/✓ ok {7}schema registry at/)
    const away = await doctor({ VARVE_REGISTRY: `http://${nobody}/apis/ccompat/v7` })
    expect(away.code).toBe(UNAVAILABLE)
    expect(failures(away.stdout)).toEqual([
      expect.stringMatching(/schema registry at .*ECONNREFUSED.*try: check VARVE_REGISTRY/),
    ])
  })

  test('our clock, minutes from theirs', async () => {
    const options = parseOptions('serve', env, {})
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() - 20 * 60_000 }
    const checks = await Array.fromAsync(examine(options, ['tables', 'blob'], clock))
    expect(checks.filter(({ state }) => state !== 'ok')).toEqual([
      expect.objectContaining({ what: 'clock of Cassandra', remedy: expect.stringMatching(/NTP/) }),
      expect.objectContaining({ what: 'clock of the store', remedy: expect.stringMatching(/NTP/) }),
    ])
  })

  test('a topic somebody else made, with settings that would lose messages', async () => {
    const prefix = `${NAME}-topics`
    const kept = [{ name: 'retention.ms', value: '60000' }]
    const topic = `${prefix}.log.v1`
    await withAdmin(env['VARVE_KAFKA'] ?? '', (admin) =>
      admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries: kept }] }),
    )
    const ran = await doctor({ VARVE_TOPIC_PREFIX: prefix })
    expect(ran.code).toBe(UNAVAILABLE)
    const said = failures(ran.stdout).join('\n')
    expect(said).toMatch(/log\.v1".*has 1 partitions, not \d+.*try: .*delete the topic/)
    expect(said).toMatch(/log\.v1".*retention\.ms is 60000.*try: kafka-configs\.sh.*retention\.ms=/)
    const changes = { VARVE_TOPIC_PREFIX: prefix, VARVE_START_PATIENCE_SECONDS: '3600' }
    const started = await cli(['serve'], { env: { ...env, ...changes } })
    expect(started.code).toBe(UNAVAILABLE)
    expect(started.stderr).toContain('error: cannot start: see above (MISCONFIGURED)')
    expect(inTheWay(started).join('\n')).toBe(said)
    expectCalm(started)
  })

  test.each([
    [
      'waits, then says what is in the way',
      'nobody at the address of Kafka',
      /waiting for Kafka: /,
    ],
    [
      'waits, then says what is in the way',
      'nobody at the address of Cassandra',
      /waiting for Cassandra: /,
    ],
    ['says at once what waiting does not mend', 'a data centre that is not there', undefined],
    ['says at once what waiting does not mend', 'a bucket that is not there', undefined],
    ['says at once what waiting does not mend', 'a wrong key of the store', undefined],
  ] as const)('a start %s: %s', async (_, name, waits) => {
    const { changes, says } = FAULTS[name] as Fault
    const patience = waits ? {} : { VARVE_START_PATIENCE_SECONDS: '3600' }
    const ran = await cli(['serve'], { env: { ...env, ...changes(), ...patience } })
    expect(ran.code).toBe(UNAVAILABLE)
    const [before] = ran.stderr.split('what is in the way:')
    if (waits) expect(before).toMatch(waits)
    else expect(before).not.toMatch(/waiting for/)
    const failed = inTheWay(ran)
    expect(failed).toHaveLength(1)
    for (const words of says) expect(failed[0]).toMatch(words)
    expect(ran.stdout).toBe('')
    expectCalm(ran)
  })
})
