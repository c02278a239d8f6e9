// Diagnostics channels become log lines. A quiet system writes one line at start, stop and takeover;
// what is away is one line when it goes and one when it is back, however many notice it.
//
// Rooms publish what happened and know no logger; which channel is worth which level stands here.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'
import { systemClock } from '../base/clock.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'
type Fields = Readonly<Record<string, unknown>>

interface Said {
  readonly level: Level
  readonly text: string
  readonly fields: Fields
  /** Among lines with the same text and key only the first in a minute has its level. */
  readonly seldomBy?: unknown
}

/** What a message of a channel says; undefined: nothing worth a line. */
type Tell = (message: Fields) => Said | undefined

const SAME_AGAIN_MS = 60_000
/** Keys remembered; beyond it all may be said again. */
const MAX_SAID = 1_000

const plain =
  (level: Level, text: string): Tell =>
  (fields) => ({ level, text, fields })

/** Said by who tries again and again, or by many at once. */
const seldom =
  (level: Level, text: string, ...by: string[]): Tell =>
  (fields) => ({ level, text, fields, seldomBy: by.map((name) => fields[name]) })

/** Many notice that it goes and comes: the first of each has a line, the others are detail. */
function awayAndBack(away: string, back: string): { readonly away: Tell; readonly back: Tell } {
  let isAway = false
  const tell =
    (goes: boolean, level: Level, text: string): Tell =>
    (fields) => {
      const isNews = isAway !== goes
      isAway = goes
      return { level: isNews ? level : 'debug', text, fields }
    }
  return { away: tell(true, 'warn', away), back: tell(false, 'info', back) }
}

function channels(): Readonly<Record<string, Tell>> {
  const bus = awayAndBack('the bus is away', 'the bus is back')
  return {
    'varve:log:takeover': plain('info', 'log lane taken over'),
    'varve:log:anomaly': seldom('warn', 'log anomaly handled', 'what', 'project'),
    'varve:log:stopped': plain('error', 'log lane stopped'),
    'varve.pipelines.trouble': ({ doing, error }) => ({
      level: 'warn',
      text: `trouble while ${String(doing)}`,
      fields: { error },
      seldomBy: error instanceof Error ? error.message : error,
    }),
    // A connection that failed; what comes of it, callers say.
    'varve:kafka': ({ text }) => ({ level: 'debug', text: `kafka: ${String(text)}`, fields: {} }),
    'varve:bus:lost': bus.away,
    'varve:bus:back': bus.back,
    'varve:bus:anomaly': seldom('warn', 'bus anomaly handled', 'what'),
    'varve:bus:assigned': plain('debug', 'part of the messages assigned'),
    'varve:cassandra': ({ level, text, ...fields }) => ({
      level: level === 'warning' ? 'warn' : levelOf(level),
      text: `cassandra: ${String(text)}`,
      fields,
      seldomBy: level,
    }),
    'varve:tables:unknown': plain('debug', 'conditional write whose outcome was not known at once'),
    'varve:s3:request': (fields) =>
      fields['outcome'] === 'again' || fields['outcome'] === 'final'
        ? { level: 'debug', text: 'request to the store failed', fields }
        : undefined,
    'varve:hash:without-addon': plain('warn', 'BLAKE3 is WebAssembly here, several times slower'),
    'varve:cache:idle': plain(
      'warn',
      'the cache on disk cannot be written; reads go on without it',
    ),
    'varve:dependency:away': plain('warn', 'what this process needs is away'),
    'varve:dependency:back': plain('info', 'what this process needs is back'),
    'varve:spouts:waiting': seldom('info', 'spout waits', 'project', 'spout', 'cause'),
    'varve:spouts:paused': plain('warn', 'spout paused itself'),
    'varve:egress:waiting': seldom('info', 'egress waits', 'project', 'egress', 'cause'),
    'varve:egress:paused': plain('warn', 'egress paused itself'),
    'varve:events:waiting': seldom('warn', 'public events wait'),
    'varve:events:published': plain('debug', 'public events published'),
    'varve:http.request': (message) =>
      Number(message['status']) >= 500 && message['status'] !== 503
        ? { level: 'error', text: 'request failed', fields: message }
        : undefined,
  }
}

function levelOf(level: unknown): Level {
  return level === 'error' || level === 'warn' || level === 'info' ? level : 'debug'
}

export interface Logging {
  readonly logger: Logger
  /** Hears no more. */
  close(): void
}

/** JSON lines to `destination` (default: standard error). Errors are written with their stacks. */
export function startLogging(options: {
  readonly level: string
  readonly destination?: DestinationStream
}): Logging {
  const logger = pino(
    {
      base: null,
      level: options.level,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (error: unknown) => (error instanceof Error ? error.stack : error) },
      redact: { paths: ['token', '*.token', 'authorization', '*.authorization'] },
    },
    options.destination ?? pino.destination({ dest: 2, sync: true }),
  )
  const saidMs = new Map<string, number>()
  const isFresh = ({ text, seldomBy }: Said): boolean => {
    if (seldomBy === undefined) return true
    const key = JSON.stringify([text, seldomBy])
    const nowMs = systemClock.monotonicMs()
    if (nowMs - (saidMs.get(key) ?? -Infinity) < SAME_AGAIN_MS) return false
    if (saidMs.size >= MAX_SAID) saidMs.clear()
    saidMs.set(key, nowMs)
    return true
  }
  const listeners = Object.entries(channels()).map(([name, tell]) => {
    const listener = (message: unknown): void => {
      const said = tell(message as Fields)
      if (said) logger[isFresh(said) ? said.level : 'debug'](said.fields, said.text)
    }
    subscribe(name, listener)
    return { name, listener }
  })
  return {
    logger,
    close: () => {
      for (const { name, listener } of listeners) unsubscribe(name, listener)
    },
  }
}
