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

  /** What kafkajs threw, in our words. */
  static from(what: string, error: unknown): KafkaError {
    if (error instanceof KafkaError) return error
    const known = causes(error)
      .map(kindOf)
      .find((kind) => kind !== undefined)
    const { message } = error as { message?: string }
    return new KafkaError(known ?? 'lost', `${what}: ${message ?? String(error)}`, error)
  }
}

interface Thrown {
  readonly type?: string
  readonly name?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

/** kafkajs wraps: what gave up names what it gave up on, an aggregate lists its parts. */
function causes(error: unknown): Thrown[] {
  if (typeof error !== 'object' || error === null) return []
  const thrown = error as Thrown
  return [thrown, ...causes(thrown.cause), ...(thrown.errors ?? []).flatMap(causes)]
}

const KINDS: Readonly<Record<string, KafkaErrorKind>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'missing',
  INVALID_TOPIC_EXCEPTION: 'missing',
  MESSAGE_TOO_LARGE: 'too-large',
  RECORD_LIST_TOO_LARGE: 'too-large',
  SASL_AUTHENTICATION_FAILED: 'denied',
  UNSUPPORTED_SASL_MECHANISM: 'denied',
  INVALID_REPLICATION_FACTOR: 'unsupported',
  INVALID_CONFIG: 'unsupported',
  POLICY_VIOLATION: 'unsupported',
}

function kindOf({ type = '', name = '' }: Thrown): KafkaErrorKind | undefined {
  if (type.endsWith('_AUTHORIZATION_FAILED') || name.startsWith('KafkaJSSASL')) return 'denied'
  return KINDS[type]
}

/** Error codes of the protocol that a partition's answer may carry. */
export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopic: 3,
  authorizationFailed: 29,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const
