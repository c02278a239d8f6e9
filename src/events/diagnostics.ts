// What this room has to say; only observe/ turns it into log lines and metrics.

import { channel } from 'node:diagnostics_channel'

const channels = {
  /** The bus has the events of a project through a seq: {project, events, seq}. */
  published: channel('varve:events:published'),
  /** The bus or the store is away, and it is tried again: {project, cause}. */
  waiting: channel('varve:events:waiting'),
}

export function say(name: keyof typeof channels, what: Readonly<Record<string, unknown>>): void {
  if (channels[name].hasSubscribers) channels[name].publish(what)
}
