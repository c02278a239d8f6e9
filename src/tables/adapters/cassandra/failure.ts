// What an error of the driver means, in one pure function. The one question that matters for a
// conditional write: is it sure that no server began to carry it out? Wherever it is not, the outcome
// is unknown. Codes are those of the native protocol.

import { AssertionError } from '../../../base/assert.ts'
import { VarveError } from '../../../base/errors.ts'
import type { Outcome } from '../../tables.ts'

export interface Failure {
  /**
   * transient: try again; full: no space for writes; denied: not allowed, or not who it says; wrong:
   * the statement cannot be carried out, however often it is sent.
   */
  readonly kind: 'transient' | 'full' | 'denied' | 'wrong'
  /** Whether it is sure that nothing was or will be written. */
  readonly neverDone: boolean
  /** What happened, in words. */
  readonly found: string
}

/** The members of driver errors that tell them apart. */
interface DriverError {
  readonly name?: string
  readonly message?: string
  /** A number: of the protocol; a text: of the operating system. */
  readonly code?: number | string
  readonly writeType?: string
  readonly isSocketError?: boolean
  readonly requestNotWritten?: boolean
  readonly innerErrors?: Readonly<Record<string, unknown>>
}

/** A connection that was never made carried nothing. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
])
const DISK = /disk usage|disk full|no space left/i
/** Cassandra's words while a keyspace or table was dropped or is not yet known everywhere. */
const UNKNOWN_TABLE = /unconfigured table|does not exist|unknown (table|keyspace)/i

export function failureOf(error: unknown): Failure {
  const { name, code, message = String(error), ...more } = (error ?? {}) as DriverError
  const is = (kind: Failure['kind'], neverDone: boolean, found = message): Failure => ({
    kind,
    neverDone,
    found,
  })
  if (name === 'NoHostAvailableError') return ofHosts(message, more.innerErrors ?? {})
  if (name === 'AuthenticationError') return is('denied', true)
  if (name === 'BusyConnectionError') return is('transient', true)
  if (name === 'ArgumentError' || error instanceof TypeError || error instanceof RangeError)
    return is('wrong', true)
  if (typeof code === 'number') return ofCode(code, message, more.writeType)
  if (more.isSocketError) return is('transient', more.requestNotWritten === true)
  if (typeof code === 'string' && NOT_CONNECTED.has(code)) return is('transient', true)
  // OperationTimedOutError, "Socket was closed", and whatever we do not know.
  return is('transient', false)
}

function ofCode(code: number, message: string, writeType: string | undefined): Failure {
  const hex = `0x${code.toString(16).padStart(4, '0')}`
  const found = `${message} (${hex}${writeType === undefined ? '' : ` ${writeType}`})`
  switch (code) {
    case 0x0100: // bad credentials
    case 0x2100: // unauthorized
      return { kind: 'denied', neverDone: true, found }
    case 0x2200: // invalid
      // Checked before anything is written, as all of 0x2….
      if (DISK.test(message)) return { kind: 'full', neverDone: true, found }
      if (UNKNOWN_TABLE.test(message)) return { kind: 'transient', neverDone: true, found }
      return { kind: 'wrong', neverDone: true, found }
    case 0x000a: // protocol
    case 0x2000: // syntax
    case 0x2300: // configuration
    case 0x2400: // already exists
      return { kind: 'wrong', neverDone: true, found }
    case 0x2500: // unprepared
      return { kind: 'transient', neverDone: true, found }
    default:
      // 0x0000 server error, 0x1000 unavailable (a conditional write has several rounds, and only the
      // last may find too few replicas), 0x1001 overloaded, 0x1002 bootstrapping, 0x1100 write
      // timeout, 0x1200 read timeout, 0x1300 read failure, 0x1500 write failure, 0x1700.
      return { kind: 'transient', neverDone: false, found }
  }
}

/** One host after the other was tried: sure only if it is for each of them. */
function ofHosts(message: string, innerErrors: Readonly<Record<string, unknown>>): Failure {
  const all = Object.entries(innerErrors).map(([host, error]) => ({ host, ...failureOf(error) }))
  if (all.length === 0) return { kind: 'transient', neverDone: true, found: message }
  const first = all.find(({ kind }) => kind !== 'transient') ?? all[0]
  return {
    kind: first?.kind ?? 'transient',
    neverDone: all.every(({ neverDone }) => neverDone),
    found: all.map(({ host, found }) => `${host}: ${found}`).join('; '),
  }
}

/** What a read or a write of facts throws. */
export function toError(failure: Failure, doing: string, cause: unknown): Error {
  const text = `cannot ${doing}: ${failure.found}`
  switch (failure.kind) {
    case 'wrong':
      return new AssertionError(text)
    case 'full':
      return new VarveError('DISK_FULL', text, { cause })
    case 'denied':
    case 'transient':
      return new VarveError('UNAVAILABLE', text, { cause })
  }
}

/** How a conditional write that ended in this error ended. @throws AssertionError: kind `wrong` */
export function toOutcome(
  error: unknown,
  doing: string,
): Extract<Outcome<never>, { kind: 'unknown' }> {
  const failure = failureOf(error)
  const cause = toError(failure, doing, error)
  if (failure.kind === 'wrong' && failure.neverDone) throw cause
  return failure.neverDone ? { kind: 'unknown', cause, never: true } : { kind: 'unknown', cause }
}
