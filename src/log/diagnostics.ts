// What this room has to say; only observe/ turns it into log lines and metrics.

import { channel } from 'node:diagnostics_channel'

const channels = {
  /** A lane began to serve a project, or found that somebody else wrote: {project, seq, because}. */
  takeover: channel('varve:log:takeover'),
  /** Something that should not happen, handled: {project, what, id?, error?}. */
  anomaly: channel('varve:log:anomaly'),
  /** A lane that cannot go on: {project, error}. */
  stopped: channel('varve:log:stopped'),
  /** A block was appended: {project, entries, bytes}. */
  appended: channel('varve:log:appended'),
}

export function say(name: keyof typeof channels, what: Readonly<Record<string, unknown>>): void {
  if (channels[name].hasSubscribers) channels[name].publish(what)
}
