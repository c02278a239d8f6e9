import { expect, test } from 'vitest'
import { optionsHelp, optionsPage } from '../../src/config/help.ts'
import { OPTIONS } from '../../src/config/options.ts'
import { parseBytes, parseOptions } from '../../src/config/parse.ts'

test('a flag wins over a variable, a variable over the default', () => {
  expect(parseOptions({}, {})).toMatchObject({ port: 7070, host: '127.0.0.1', token: undefined })
  const env = { VARVE_PORT: '8000', VARVE_HOST: '0.0.0.0', HOME: '/root' }
  expect(parseOptions(env, { port: '9000' })).toMatchObject({ port: 9000, host: '0.0.0.0' })
  expect(parseOptions({ VARVE_PORT: '' }, {}).port).toBe(7070)
})

test('what does not fit, or is not known, is refused with what helps', () => {
  expect(() => parseOptions({}, { port: '70707' })).toThrow('between 0 and 65535')
  expect(() => parseOptions({}, { port: '1e3' })).toThrow('not a whole number')
  expect(() => parseOptions({ VARVE_LOG_LEVEL: 'loud' }, {})).toThrow('debug, info')
  expect(() => parseOptions({ VARVE_PROT: '1' }, {})).toThrow('did you mean "VARVE_PORT"?')
  expect(() => parseOptions({}, { hots: 'x' })).toThrow('did you mean "host"?')
})

test('sizes are read with their units', () => {
  const read = ['1048576', '512MiB', '1 TiB', '1.5 GiB', '2GB', '3k'].map(parseBytes)
  expect(read.slice(0, 5)).toEqual([2 ** 20, 2 ** 29, 2 ** 40, 1.5 * 2 ** 30, 2e9])
  for (const bad of ['', 'x', '1 PiX', '-1', '3k']) expect(parseBytes(bad)).toBeNaN()
})

test('help and page name every option with its variable and flag', () => {
  for (const { env, flag } of Object.values(OPTIONS))
    for (const text of [optionsHelp(), optionsPage()]) {
      expect(text).toContain(env)
      expect(text).toContain(flag)
    }
})
