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
    const { type, name, message } = error as { type?: string; name?: string; message?: string }
    return new KafkaError(
      kindOf(type ?? '', name ?? ''),
      `${what}: ${message ?? String(error)}`,
      error,
    )
  }
}

function kindOf(type: string, name: string): KafkaErrorKind {
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'INVALID_TOPIC_EXCEPTION') return 'missing'
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') return 'too-large'
  if (type.endsWith('_AUTHORIZATION_FAILED') || type === 'SASL_AUTHENTICATION_FAILED')
    return 'denied'
  if (name.startsWith('KafkaJSSASL')) return 'denied'
  return 'lost'
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
