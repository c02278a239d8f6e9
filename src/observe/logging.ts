// Diagnostics channels become log lines. A quiet system writes one line at start, stop and takeover.
//
// Rooms publish what happened and know no logger; which channel is worth which level stands here.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'

type Level = 'debug' | 'info' | 'warn' | 'error'

interface Said {
  readonly level: Level
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What a message of a channel says; undefined: nothing worth a line. */
type Tell = (message: Readonly<Record<string, unknown>>) => Said | undefined

const plain =
  (level: Level, text: string): Tell =>
  (fields) => ({ level, text, fields })

const CHANNELS: Readonly<Record<string, Tell>> = {
  'varve:log:takeover': plain('info', 'log lane taken over'),
  'varve:log:anomaly': plain('warn', 'log anomaly handled'),
  'varve:log:stopped': plain('error', 'log lane stopped'),
  'varve.pipelines.trouble': ({ doing, error }) => ({
    level: 'warn',
    text: `trouble while ${String(doing)}`,
    fields: { error },
  }),
  'varve:kafka': ({ level, text, ...fields }) => ({
    level: levelOf(level),
    text: `kafka: ${String(text)}`,
    fields,
  }),
  'varve:bus:lost': plain('warn', 'the bus is away'),
  'varve:bus:back': plain('info', 'the bus is back'),
  'varve:bus:anomaly': plain('warn', 'bus anomaly handled'),
  'varve:cassandra': ({ level, text, ...fields }) => ({
    level: level === 'warning' ? 'warn' : levelOf(level),
    text: `cassandra: ${String(text)}`,
    fields,
  }),
  'varve:spouts:paused': plain('warn', 'spout paused itself'),
  'varve:egress:paused': plain('warn', 'egress paused itself'),
  'varve:events:waiting': plain('warn', 'public events wait'),
  'varve:http.request': (message) =>
    Number(message['status']) >= 500 && message['status'] !== 503
      ? { level: 'error', text: 'request failed', fields: message }
      : undefined,
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
  const listeners = Object.entries(CHANNELS).map(([name, tell]) => {
    const listener = (message: unknown): void => {
      const said = tell(message as Readonly<Record<string, unknown>>)
      if (said) logger[said.level](said.fields, said.text)
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
