import { expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import { describeOptions, readOptions } from '../../src/connector/mod.ts'

const SPECS = {
  'bootstrap.servers': { type: 'list', required: true, help: 'where' },
  start: { type: 'text', oneOf: ['earliest', 'latest'], default: 'earliest', help: 'from' },
  tries: { type: 'integer', min: 1, max: 9, default: 3, help: 'how often' },
  password: { type: 'secret', help: 'by reference' },
} as const

const read = (given: unknown): unknown => readOptions(SPECS, given, 'kafka')

test('fills in defaults and reads lists written either way', () => {
  expect(read({ 'bootstrap.servers': 'a:1, b:2' })).toEqual({
    'bootstrap.servers': ['a:1', 'b:2'],
    start: 'earliest',
    tries: 3,
  })
  expect(read({ 'bootstrap.servers': ['a:1'], tries: 9, password: { env: 'P' } })).toEqual({
    'bootstrap.servers': ['a:1'],
    start: 'earliest',
    tries: 9,
    password: { env: 'P' },
  })
})

test.each([
  [{}, 'bootstrap.servers', 'missing'],
  [{ 'bootstrap.server': 'a:1' }, 'bootstrap.server', 'did you mean "bootstrap.servers"?'],
  [{ 'bootstrap.servers': 'a', start: 'latst' }, 'start', 'did you mean "latest"?'],
  [{ 'bootstrap.servers': 'a', tries: 10 }, 'tries', 'whole number from 1 to 9'],
  [{ 'bootstrap.servers': 'a', tries: '3' }, 'tries', 'whole number'],
  [{ 'bootstrap.servers': [] }, 'bootstrap.servers', 'not a list'],
  [{ 'bootstrap.servers': 'a', password: 'hunter2' }, 'password', 'by reference only'],
])('refuses %j at "%s": %s', (given, option, words) => {
  const error = (() => {
    try {
      read(given)
      return undefined
    } catch (thrown) {
      return thrown
    }
  })()
  if (!isVarveError(error, 'INVALID_OPTION')) throw new Error('not refused')
  expect(error.message).toContain(words)
  expect(error.details).toEqual({ option })
  // A secret somebody wrote by mistake must not travel on in a message.
  expect(error.message).not.toContain('hunter2')
})

test('describes each option in a line', () => {
  expect(describeOptions(SPECS)).toEqual([
    'bootstrap.servers (list, required): where',
    'start (earliest | latest, earliest): from',
    'tries (integer, 3): how often',
    'password (secret): by reference',
  ])
})
