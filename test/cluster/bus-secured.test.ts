// Logins, TLS and access lists on a real broker, with settings as Java's client takes them.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import type { Check } from '../../src/base/check.ts'
import { systemClock } from '../../src/base/clock.ts'
import { KafkaBus } from '../../src/bus/adapters/kafka/bus.ts'
import { checkKafka } from '../../src/bus/adapters/kafka/check.ts'
import type { TopicSpec } from '../../src/bus/topics.ts'
import type { KafkaOptions } from '../../src/kafka/connect.ts'
import { fromJavaSettings } from '../../src/kafka/java-settings.ts'
import { parseProperties } from '../../src/kafka/properties.ts'
import { cli } from '../e2e/product.ts'
import { KafkaServer, kafkaAvailable } from '../services/kafka.ts'
import { kafkajsAt } from '../services/kafkajs.ts'
import { missingTools } from '../services/need.ts'

const SPEC: TopicSpec = {
  partitions: 2,
  partitionsFixed: true,
  retentionMs: 3_600_000,
  maxMessageBytes: 1_048_576,
  timestamps: 'log',
}

let server: KafkaServer

const LOGIN = 'org.apache.kafka.common.security'

function settings(text: string): Promise<KafkaOptions> {
  return fromJavaSettings(parseProperties(text), () => Promise.resolve(server.ca))
}

const plain = (user: string, password = user): Promise<KafkaOptions> =>
  settings(`
bootstrap.servers=${server.sasl}
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=${LOGIN}.plain.PlainLoginModule required username="${user}" password="${password}";
`)

const busOptions = (connection: KafkaOptions, topicPrefix: string) => ({
  connection,
  topicPrefix,
  replication: 1,
  clock: systemClock,
  topics: { 'varve.a': SPEC },
})

/** A message goes round. */
async function works(connection: KafkaOptions, topicPrefix: string): Promise<void> {
  const bus = await KafkaBus.open(busOptions(connection, topicPrefix))
  const heard = new Promise<string>((resolve) => {
    bus.subscribe('varve.a', { group: 'g' }, (messages) => {
      for (const { value } of messages) resolve(fromUtf8(value))
      return Promise.resolve()
    })
  })
  await bus.publish('varve.a', [{ partition: 1, key: 'k', headers: {}, value: utf8('hello') }])
  expect(await heard).toBe('hello')
  await bus.close()
}

async function failures(connection: KafkaOptions, topicPrefix: string): Promise<Check[]> {
  const checks = await Array.fromAsync(checkKafka(busOptions(connection, topicPrefix), systemClock))
  for (const check of checks) if (check.state !== 'ok') expect(check.remedy).toBeTruthy()
  return checks.filter(({ state }) => state === 'failed')
}

describe.skipIf(!kafkaAvailable || missingTools('openssl').length > 0)(
  'bus on a secured kafka',
  () => {
    beforeAll(async () => {
      server = await KafkaServer.own({ secured: true })
    })
    afterAll(() => server.stop())

    test('a login by PLAIN', async () => {
      await works(await plain('admin'), 'plain')
      expect(await failures(await plain('admin'), 'plain')).toEqual([])
    })

    test.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'])('a login by %s', async (mechanism) => {
      const given = await settings(`
bootstrap.servers=${server.sasl}
security.protocol=SASL_PLAINTEXT
sasl.mechanism=${mechanism}
sasl.jaas.config=${LOGIN}.scram.ScramLoginModule required username="admin" password="admin";
`)
      await works(given, mechanism.toLowerCase())
    })

    test('TLS with a certificate that is trusted; without, it is refused', async () => {
      const given = (trust: string): Promise<KafkaOptions> =>
        settings(`bootstrap.servers=${server.tls}\nsecurity.protocol=SSL\n${trust}`)
      await works(await given('ssl.truststore.type=PEM\nssl.truststore.location=ca.pem'), 'tls')
      const [check] = await failures(await given(''), 'tls')
      expect(check?.found).toContain('self-signed certificate')
      expect(check?.remedy).toContain('ssl.truststore')
    })

    test('a wrong password is said as such, at once', async () => {
      const given = await plain('admin', 'wrong')
      const checks = await failures(given, 'plain')
      expect(checks).toHaveLength(1)
      expect(checks[0]?.found).toContain('the login was refused')
      await expect(KafkaBus.open(busOptions(given, 'plain'))).rejects.toThrow(/uthentication/)
    })

    test('a wrong password, as an operator sees it', async () => {
      const file = join(mkdtempSync(join(tmpdir(), 'varve-secured-')), 'kafka.properties')
      const login = `${LOGIN}.plain.PlainLoginModule required username="admin" password="wrong-one";`
      writeFileSync(
        file,
        `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=${login}\n`,
      )
      const ran = await cli(['doctor', '--server'], {
        env: {
          VARVE_KAFKA: server.sasl,
          VARVE_KAFKA_CONFIG: file,
          VARVE_CASSANDRA: '127.0.0.1:1',
          VARVE_S3_ENDPOINT: 'http://127.0.0.1:9',
          VARVE_S3_BUCKET: 'none',
          VARVE_TOKEN: 'token',
          VARVE_CLUSTER_SECRET: 'a-secret-of-32-characters-or-more',
        },
      })
      rmSync(dirname(file), { recursive: true })
      expect(ran.code).toBe(5)
      expect(ran.stdout).toMatch(
        /✗ failed {3}Kafka at .*\s+the login was refused[^✓✗]*try: mend user, password/u,
      )
      expect(ran.stdout + ran.stderr).not.toContain('wrong-one')
    })

    test('a listener that wants a login, met without one', async () => {
      const checks = await failures({ brokers: [server.sasl] }, 'plain')
      expect(checks).toHaveLength(1)
      expect(checks[0]?.remedy).toContain('security.protocol')
    })

    test('what a login may not do is named, with the command that allows it', async () => {
      const limited = await plain('limited')
      // Not allowed to see or make anything.
      const first = await failures(limited, 'limited')
      expect(first.map(({ what }) => what)).toEqual(['topic "limited.a"', 'group "limited.doctor"'])
      expect(first[0]?.remedy).toContain('--topic limited.a')
      await expect(KafkaBus.open(busOptions(limited, 'limited'))).rejects.toThrow(/limited\.a/)

      // May read, see the settings and take part, but not write.
      await works({ brokers: [server.address] }, 'limited')
      const admin = kafkajsAt(server.address).admin()
      await admin.connect()
      const TOPIC = 2
      const GROUP = 3
      const PREFIXED = 4
      const ALLOW = 3
      const acl = (resourceType: number, operation: number) => ({
        resourceType,
        resourceName: 'limited',
        resourcePatternType: PREFIXED,
        principal: 'User:limited',
        host: '*',
        operation,
        permissionType: ALLOW,
      })
      const [READ, WRITE, DESCRIBE_CONFIGS] = [3, 4, 10]
      await admin.createAcls({
        acl: [acl(TOPIC, READ), acl(TOPIC, DESCRIBE_CONFIGS), acl(GROUP, READ)],
      })
      const second = await failures(limited, 'limited')
      expect(second.map(({ found }) => found)).toEqual(['writing is not allowed to this login'])
      expect(second[0]?.remedy).toContain('--operation Write')

      await admin.createAcls({ acl: [acl(TOPIC, WRITE)] })
      expect(await failures(limited, 'limited')).toEqual([])
      await works(limited, 'limited')
      await admin.disconnect()
    })
  },
)
