import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { kafkaOptionsOfFile } from '../../src/kafka/settings-file.ts'

test('files are found from the folder of the settings; brokers given elsewhere count more', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-settings-'))
  const file = join(folder, 'kafka.properties')
  const lines = [
    'bootstrap.servers=theirs:9092',
    'security.protocol=SSL',
    'ssl.truststore.type=PEM',
    'ssl.truststore.location=ca.pem',
  ]
  writeFileSync(file, lines.join('\n'))
  writeFileSync(join(folder, 'ca.pem'), 'CA')
  const ssl = { ca: ['CA'] }
  expect(await kafkaOptionsOfFile(['ours:9092'], file)).toEqual({ brokers: ['ours:9092'], ssl })
  expect(await kafkaOptionsOfFile([], file)).toEqual({ brokers: ['theirs:9092'], ssl })
  rmSync(folder, { recursive: true })
  await expect(kafkaOptionsOfFile([], file)).rejects.toThrow(/cannot read the Kafka settings/)
  await expect(kafkaOptionsOfFile([], undefined)).rejects.toThrow(/no brokers/)
  expect(await kafkaOptionsOfFile(['ours:9092'], undefined)).toEqual({ brokers: ['ours:9092'] })
})
