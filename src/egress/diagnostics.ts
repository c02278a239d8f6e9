// What this room has to say; only observe/ turns it into log lines and metrics.

import { channel } from 'node:diagnostics_channel'

const channels = {
  /** Progress was recorded: {project, egress, commit, records, done}. */
  delivered: channel('varve:egress:delivered'),
  /** Something stands in its way, and it tries again: {project, egress, cause}. */
  waiting: channel('varve:egress:waiting'),
  /** It stopped itself until a person looks: {project, egress, cause}. */
  paused: channel('varve:egress:paused'),
}

export function say(name: keyof typeof channels, what: Readonly<Record<string, unknown>>): void {
  if (channels[name].hasSubscribers) channels[name].publish(what)
}
