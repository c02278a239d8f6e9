// The port of messages. The bus is a bell: nothing is correct only because of it. It may lose,
// repeat, reorder, be wiped. test/contract/bus.ts runs it on every adapter.

export interface BusMessage {
  /** Always explicit. */
  readonly partition: number
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly value: Uint8Array
}

export interface Subscription {
  /** No handler call begins after it resolves. */
  close(): Promise<void>
}

export interface Bus {
  /** Resolves when the broker has it. @throws VarveError UNAVAILABLE: then it may or may not have it */
  publish(topic: string, messages: readonly BusMessage[]): Promise<void>
  /**
   * `group`: each message goes to one subscriber of the group, at least once, again after a handler
   * that threw. `tail`: every message published from about now on goes to this subscriber. Messages
   * of one partition are handed over in order, one call at a time.
   */
  subscribe(
    topic: string,
    from: { readonly group: string } | { readonly tail: true },
    handler: (messages: readonly BusMessage[]) => Promise<void>,
  ): Subscription
}

/** Topics of our own, as the rest of the product names them; topics.ts says how each is kept. */
export const TOPICS = {
  proposals: 'varve.proposals.v1',
  log: 'varve.log.v1',
  datums: 'varve.datums.v1',
  lines: 'varve.lines.v1',
  /** What hosts of spouts and egress know of them right now. */
  status: 'varve.status.v1',
  /** Proposals that cannot be read. */
  deadLetters: 'varve.dead-letters.v1',
  /** Public events, for others. */
  events: 'varve.events.v1',
} as const
