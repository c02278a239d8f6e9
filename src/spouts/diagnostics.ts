// What this room has to say; only observe/ turns it into log lines and metrics.

import { channel } from 'node:diagnostics_channel'

const channels = {
  /** A range became a commit: {project, spout, commit, records, bytes}. */
  committed: channel('varve:spouts:committed'),
  /** Something stands in its way, and it tries again: {project, spout, cause}. */
  waiting: channel('varve:spouts:waiting'),
  /** It stopped itself until a person looks: {project, spout, cause}. */
  paused: channel('varve:spouts:paused'),
}

export function say(name: keyof typeof channels, what: Readonly<Record<string, unknown>>): void {
  if (channels[name].hasSubscribers) channels[name].publish(what)
}
