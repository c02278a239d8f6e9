/**
 * - `lost`: the connection or a broker; trying again later is right.
 * - `missing`: no such topic.
 * - `recreated`: the topic has another id than the one asked for.
 * - `out-of-range`: the position lies outside of what the broker keeps.
 * - `too-large`: a record over the broker's limit.
 * - `denied`: authentication or permission.
 * - `unsupported`: the broker or a batch's compression is beyond this client.
 * - `indefinite`: a send that may or may not have happened.
 */
export type KafkaErrorKind =
  | 'lost'
  | 'missing'
  | 'recreated'
  | 'out-of-range'
  | 'too-large'
  | 'denied'
  | 'unsupported'
  | 'indefinite'

export class KafkaError extends Error {
  readonly kind: KafkaErrorKind

  constructor(kind: KafkaErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'KafkaError'
    this.kind = kind
  }

  /** What was thrown, as one of ours: `lost` unless it is already. */
  static from(what: string, error: unknown): KafkaError {
    if (error instanceof KafkaError) return error
    const text = error instanceof Error ? error.message : String(error)
    return new KafkaError('lost', `${what}: ${text}`, error)
  }
}

/** A broker's answer that is an error of the protocol. */
export class Refused extends KafkaError {
  /** The protocol's number, see CODE. */
  readonly code: number

  constructor(what: string, code: number, words?: string | null) {
    const known = KNOWN[code]
    const said = known?.words ?? `error ${code}`
    super(known?.kind ?? 'lost', `${what}: ${words ? `${said}: ${words}` : said}`)
    this.code = code
  }
}

/** @throws Refused unless the code says there is none */
export function accepted(what: string, code: number, words?: string | null): void {
  if (code !== CODE.none) throw new Refused(what, code, words)
}

/** Error codes of the protocol that decide what we do. */
export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopic: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  topicDenied: 29,
  topicExists: 36,
  memberIdRequired: 79,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const

/** What an operator reads; codes that are not here are `lost` and pass. */
const KNOWN: Readonly<Record<number, { readonly kind: KafkaErrorKind; readonly words: string }>> = {
  3: { kind: 'missing', words: 'there is no such topic' },
  5: { kind: 'lost', words: 'the partition has no leader now' },
  6: { kind: 'lost', words: 'the broker no longer leads the partition' },
  7: { kind: 'lost', words: 'the brokers did not agree in time' },
  10: { kind: 'too-large', words: 'larger than the broker takes' },
  14: { kind: 'lost', words: 'the coordinator is still loading' },
  15: { kind: 'lost', words: 'there is no coordinator now' },
  16: { kind: 'lost', words: 'the broker is no longer the coordinator' },
  17: { kind: 'missing', words: 'the name of the topic is not valid' },
  18: { kind: 'too-large', words: 'larger than the broker takes at once' },
  19: { kind: 'lost', words: 'too few copies are in sync' },
  20: { kind: 'lost', words: 'too few copies are in sync, after it was written' },
  23: { kind: 'lost', words: 'other members of the group share its partitions in another way' },
  29: { kind: 'denied', words: 'not allowed to use the topic' },
  30: { kind: 'denied', words: 'not allowed to use the group' },
  31: { kind: 'denied', words: 'not allowed on the cluster' },
  33: { kind: 'denied', words: 'the broker does not know this sasl.mechanism' },
  34: { kind: 'denied', words: 'the broker asks for another order of login' },
  35: { kind: 'unsupported', words: 'the broker does not know this version of a request' },
  36: { kind: 'lost', words: 'there is such a topic already' },
  38: { kind: 'unsupported', words: 'fewer brokers than copies' },
  40: { kind: 'unsupported', words: 'a setting is not valid' },
  41: { kind: 'lost', words: 'the broker is not the controller' },
  44: { kind: 'unsupported', words: "against the cluster's policy" },
  56: { kind: 'lost', words: 'a disk of the broker fails' },
  58: { kind: 'denied', words: 'authentication failed' },
  100: { kind: 'recreated', words: 'there is no topic with this id' },
  103: { kind: 'recreated', words: 'the topic has another id' },
}
