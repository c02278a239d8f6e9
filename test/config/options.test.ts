import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { helpOf, optionsPage } from '../../src/config/help.ts'
import { OPTIONS, optionsOf } from '../../src/config/options.ts'
import type { OptionSpec } from '../../src/config/options.ts'
import { parseBytes, parseOptions } from '../../src/config/parse.ts'

const SECRET = 's'.repeat(32)
/** What a process of a cluster cannot do without. */
const CLUSTER = {
  VARVE_KAFKA: 'k1:9092, k2:9092',
  VARVE_CASSANDRA: 'c1:9042',
  VARVE_S3_BUCKET: 'bytes',
  VARVE_CLUSTER_SECRET: SECRET,
  VARVE_TOKEN: 'token',
}

test('a flag wins over a variable, a variable over the default', () => {
  expect(parseOptions('dev', {}, {})).toMatchObject({ port: 7070, host: '127.0.0.1' })
  const env = { VARVE_PORT: '8000', VARVE_HOST: '0.0.0.0', HOME: '/root' }
  const read = parseOptions('dev', env, { port: '9000' })
  expect(read).toMatchObject({ port: 9000, host: '0.0.0.0', token: undefined })
  expect(parseOptions('dev', { VARVE_PORT: '' }, {}).port).toBe(7070)
})

test('what does not fit, or is not known, is refused with what helps', () => {
  expect(() => parseOptions('dev', {}, { port: '70707' })).toThrow('between 0 and 65535')
  expect(() => parseOptions('dev', {}, { port: '1e3' })).toThrow('not a whole number')
  expect(() => parseOptions('dev', { VARVE_LOG_LEVEL: 'loud' }, {})).toThrow('debug, info')
  expect(() => parseOptions('dev', { VARVE_PROT: '1' }, {})).toThrow('did you mean "VARVE_PORT"?')
  expect(() => parseOptions('dev', {}, { hots: 'x' })).toThrow('did you mean "host"?')
})

test('a program reads its own options; those of another are neither read nor refused', () => {
  expect(parseOptions('dev', CLUSTER, {})).not.toHaveProperty('kafka')
  expect(() => parseOptions('dev', {}, { kafka: 'k:1' })).toThrow('cannot use the option "kafka"')
  expect(parseOptions('serve', { ...CLUSTER, VARVE_DATA: '/x' }, {})).toMatchObject({
    kafka: ['k1:9092', 'k2:9092'],
    replication: 3,
    roles: ['api', 'log', 'scheduler', 'spouts', 'egress', 'events'],
  })
  const ofDev = helpOf('dev').map(({ head }) => head)
  expect(ofDev.join()).not.toMatch(/kafka|cassandra|s3/)
  expect(optionsOf('work').map(([name]) => name)).toContain('workers')
})

test('roles are checked, with the nearest one', () => {
  const roles = (text: string): readonly string[] =>
    parseOptions('serve', CLUSTER, { roles: text }).roles
  expect(roles('log, api,log')).toEqual(['log', 'api'])
  expect(() => roles('api,sheduler')).toThrow('did you mean "scheduler"?')
  expect(() => roles(' ,')).toThrow('names nothing')
})

test('all that is missing is named at once', () => {
  expect(() => parseOptions('serve', { VARVE_KAFKA: 'k:1' }, {})).toThrow(
    /VARVE_TOKEN .*VARVE_CLUSTER_SECRET \(or VARVE_CLUSTER_SECRET_FILE\), VARVE_CASSANDRA \(or --cassandra\), VARVE_S3_BUCKET/,
  )
})

test('a secret comes by variable or file, has no flag in a cluster, and is never shown', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-options-'))
  const file = join(folder, 'password')
  writeFileSync(file, 'hush\n')
  const env = { ...CLUSTER, VARVE_CASSANDRA_PASSWORD_FILE: file }
  expect(parseOptions('serve', env, {}).cassandraPassword).toBe('hush')
  const both = parseOptions('serve', { ...env, VARVE_CASSANDRA_PASSWORD: 'louder' }, {})
  expect(both.cassandraPassword).toBe('louder')
  expect(parseOptions('work', { VARVE_WORKER_TOKEN_FILE: file }, {}).workerToken).toBe('hush')
  rmSync(folder, { recursive: true })
  expect(() => parseOptions('serve', env, {})).toThrow('VARVE_CASSANDRA_PASSWORD_FILE')
  expect(() => parseOptions('serve', CLUSTER, { clusterSecret: SECRET })).toThrow('cannot use')
  expect(parseOptions('dev', CLUSTER, {}).clusterSecret).toBe(SECRET)
  expect(() => parseOptions('dev', {}, { clusterSecret: SECRET })).toThrow('cannot use')
  const short = { ...CLUSTER, VARVE_CLUSTER_SECRET: 'too-short-a-secret' }
  for (const program of ['dev', 'serve'] as const)
    expect(() => parseOptions(program, short, {})).toThrow('at least 32 characters')
  expect(() => parseOptions('serve', short, {})).not.toThrow('too-short')
})

test('what Kubernetes says of services beside us is not taken for an option', () => {
  const links = {
    VARVE_PORT: 'tcp://10.0.0.7:7070',
    VARVE_SERVICE_HOST: '10.0.0.7',
    VARVE_API_PORT_7070_TCP_ADDR: '10.0.0.7',
    VARVE_API_PORT: 'tcp://10.0.0.7:7070',
  }
  expect(parseOptions('serve', { ...CLUSTER, ...links }, {}).port).toBe(7070)
  expect(() => parseOptions('serve', { ...CLUSTER, VARVE_API_PORT: '7' }, {})).toThrow('cannot use')
})

test('sizes are read with their units', () => {
  const read = ['1048576', '512MiB', '1 TiB', '1.5 GiB', '2GB', '3k'].map(parseBytes)
  expect(read.slice(0, 5)).toEqual([2 ** 20, 2 ** 29, 2 ** 40, 1.5 * 2 ** 30, 2e9])
  for (const bad of ['', 'x', '1 PiX', '-1', '3k']) expect(parseBytes(bad)).toBeNaN()
})

test('help and page name every option, and its flag only where there is one', () => {
  for (const spec of Object.values(OPTIONS) as OptionSpec[]) {
    expect(optionsPage()).toContain(`\`${spec.env}\``)
    for (const program of spec.for) {
      const help = helpOf(program).find(({ head, text }) => `${head} ${text}`.includes(spec.env))
      expect(help?.hasFlag, `${spec.env} of ${program}`).toBe(
        !spec.secret || `${spec.env} ${program}` === 'VARVE_TOKEN dev',
      )
    }
  }
})
