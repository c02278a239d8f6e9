// What each error of the driver means for a fact and for a conditional write. The names and members are
// those of cassandra-driver 4.10, the codes those of the native protocol.

import { errors } from 'cassandra-driver'
import { expect, test } from 'vitest'
import { failureOf, toError, toOutcome } from '../../src/tables/adapters/cassandra/failure.ts'
import type { Failure } from '../../src/tables/adapters/cassandra/failure.ts'

const response = (code: number, message: string, more: object = {}): Error =>
  Object.assign(new errors.ResponseError(code, message), more)
const socket = (more: object): Error =>
  Object.assign(new Error('Socket was closed'), {
    name: 'DriverError',
    isSocketError: true,
    ...more,
  })
const system = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code })
const hosts = (...inner: Error[]): Error =>
  new errors.NoHostAvailableError(
    Object.fromEntries(inner.map((error, i) => [`10.0.0.${i}:9042`, error])),
  )
const timedOut = new errors.OperationTimedOutError('did not reply', '10.0.0.1:9042')

type Kind = Failure['kind']
const CASES: readonly [string, unknown, Kind, 'never' | 'unknown'][] = [
  ['the time-out of the client', timedOut, 'transient', 'unknown'],
  ['a socket closed after the request', socket({}), 'transient', 'unknown'],
  ['a socket closed before the request', socket({ requestNotWritten: true }), 'transient', 'never'],
  [
    'too many requests under way',
    new errors.BusyConnectionError('10.0.0.1:9042', 2048, 1),
    'transient',
    'never',
  ],
  ['no host tried', hosts(), 'transient', 'never'],
  ['all hosts away', hosts(system('ECONNREFUSED'), system('EHOSTUNREACH')), 'transient', 'never'],
  ['one host away, one timed out', hosts(system('ECONNREFUSED'), timedOut), 'transient', 'unknown'],
  ['one host short of replicas', hosts(response(0x1000, 'too few')), 'transient', 'unknown'],
  ['an unknown error of a socket', system('ECONNRESET'), 'transient', 'unknown'],
  ['server error', response(0x0000, 'bug'), 'transient', 'unknown'],
  ['unavailable', response(0x1000, 'too few replicas'), 'transient', 'unknown'],
  ['overloaded', response(0x1001, 'busy'), 'transient', 'unknown'],
  ['bootstrapping', response(0x1002, 'begins'), 'transient', 'unknown'],
  [
    'a race of transactions lost',
    response(0x1100, 'timed out', { writeType: 'CAS' }),
    'transient',
    'unknown',
  ],
  [
    'decided, not acknowledged',
    response(0x1100, 'timed out', { writeType: 'SIMPLE' }),
    'transient',
    'unknown',
  ],
  [
    'a batch timed out',
    response(0x1100, 'timed out', { writeType: 'UNLOGGED_BATCH' }),
    'transient',
    'unknown',
  ],
  ['read timeout', response(0x1200, 'timed out'), 'transient', 'unknown'],
  ['read failure', response(0x1300, 'failed'), 'transient', 'unknown'],
  ['write failure', response(0x1500, 'failed'), 'transient', 'unknown'],
  ['a code of a later protocol', response(0x1700, 'unknown'), 'transient', 'unknown'],
  ['not prepared', response(0x2500, 'unprepared'), 'transient', 'never'],
  ['a table not known yet', response(0x2200, 'unconfigured table log'), 'transient', 'never'],
  [
    'disks too full',
    response(0x2200, 'Cannot write: disk usage exceeds failure threshold'),
    'full',
    'never',
  ],
  ['not permitted', response(0x2100, 'User poor has no MODIFY permission'), 'denied', 'never'],
  ['wrong password', response(0x0100, 'bad credentials'), 'denied', 'never'],
  [
    'wrong password at connect',
    hosts(new errors.AuthenticationError('bad credentials')),
    'denied',
    'never',
  ],
  ['nothing but nonsense', null, 'transient', 'unknown'],
]

test.each(CASES)('%s', (_, error, kind, ends) => {
  const failure = failureOf(error)
  expect([failure.kind, failure.neverDone ? 'never' : 'unknown']).toEqual([kind, ends])
  const outcome = toOutcome(error, 'write')
  expect(outcome).toMatchObject({ kind: 'unknown' })
  expect(outcome.never === true).toBe(ends === 'never')
  const code = kind === 'full' ? 'DISK_FULL' : 'UNAVAILABLE'
  expect(toError(failure, 'write', error)).toMatchObject({ code })
})

test.each<[string, unknown]>([
  ['syntax', response(0x2000, 'line 1:3')],
  ['invalid', response(0x2200, 'Undefined column name')],
  ['too big', response(0x2200, 'Request is too big: length 20000000')],
  ['a parameter of a wrong type', new TypeError('Expected 8 bytes')],
  ['too many statements', new RangeError('out of range')],
  ['an argument of the driver', new errors.ArgumentError('wrong')],
])('a program that is wrong hears so: %s', (_, error) => {
  expect(() => toOutcome(error, 'write')).toThrow('cannot write: ')
  expect(toError(failureOf(error), 'write', error).name).toBe('AssertionError')
})
