import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { kafkaOptionsOf, parseProperties } from '../../src/main/kafka-properties.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-properties-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const BROKERS = ['k:9092']
const read = (text: string): ReturnType<typeof kafkaOptionsOf> => {
  const file = join(folder, 'kafka.properties')
  writeFileSync(file, text)
  return kafkaOptionsOf(BROKERS, file)
}

test('the file people have for Java clients works here', async () => {
  expect(await kafkaOptionsOf(BROKERS, undefined)).toEqual({ brokers: BROKERS })
  writeFileSync(join(folder, 'ca.pem'), 'PEM')
  const options = await read(
    [
      '# ours',
      'security.protocol=SASL_SSL',
      'sasl.mechanism = SCRAM-SHA-512',
      'sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\',
      '    username="me" password="a\\\\"b=c";',
      'ssl.ca.location: ca.pem',
    ].join('\n'),
  )
  expect(options).toEqual({
    brokers: BROKERS,
    ssl: { ca: ['PEM'] },
    sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'a"b=c' },
  })
  expect((await read('sasl.username=x\n')).sasl).toBeUndefined()
})

test('what cannot be used is named, and no secret is', async () => {
  await expect(read('security.protcol=SSL')).rejects.toThrow('did you mean "security.protocol"?')
  await expect(read('security.protocol=TLS')).rejects.toThrow('PLAINTEXT, SSL')
  const gssapi = 'security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI\nsasl.password=hush'
  await expect(read(gssapi)).rejects.toThrow('PLAIN, SCRAM-SHA-256')
  await expect(read(gssapi)).rejects.not.toThrow('hush')
  await expect(read('security.protocol=SASL_SSL')).rejects.toThrow('sasl.username')
  await expect(kafkaOptionsOf(BROKERS, join(folder, 'none'))).rejects.toThrow('cannot read')
})

test('properties: comments, three separators, lines that go on', () => {
  expect(parseProperties('a=1\n b : 2\n# c=3\n! d=4\ne 5\nf=x\\\n   y\ng=\n')).toEqual({
    a: '1',
    b: '2',
    e: '5',
    f: 'xy',
    g: '',
  })
})
