// What this adapter has to say; only observe/ turns it into log lines and metrics.

import { channel } from 'node:diagnostics_channel'

const channels = {
  /** It cannot go on and keeps trying; once until it is back: {what, error}. */
  lost: channel('varve:bus:lost'),
  /** It goes on: {what, afterMs}. */
  back: channel('varve:bus:back'),
  /** Messages are gone or a topic was replaced, handled: {what, topic, …}. */
  anomaly: channel('varve:bus:anomaly'),
  /** Partitions of a group came or went: {group, partitions, of}. */
  assigned: channel('varve:bus:assigned'),
}

export function say(name: keyof typeof channels, what: Readonly<Record<string, unknown>>): void {
  if (channels[name].hasSubscribers) channels[name].publish(what)
}
