// How a topic should be kept, and what is wrong with one that is there: pure, for the start and for
// `varve doctor` alike.

import type { NewTopic } from '../../../kafka/admin.ts'
import type { TopicSpec } from '../../topics.ts'

/** What brokers say of a topic. */
export interface KeptTopic {
  readonly partitions: number
  readonly replicas: number
  readonly settings: Readonly<Record<string, string>>
}

export interface Drift {
  readonly found: string
  readonly remedy: string
  /** Not wrong enough to refuse it. */
  readonly warning?: true
}

export function newTopic(name: string, spec: TopicSpec, replicas: number): NewTopic {
  return {
    name,
    partitions: spec.partitions,
    replicas,
    settings: {
      'cleanup.policy': 'delete',
      'retention.ms': String(spec.retentionMs),
      'max.message.bytes': String(spec.maxMessageBytes),
      'message.timestamp.type': TIMESTAMPS[spec.timestamps],
      'min.insync.replicas': String(minInsync(replicas)),
      'unclean.leader.election.enable': 'false',
    },
  }
}

const TIMESTAMPS = { log: 'LogAppendTime', create: 'CreateTime' } as const

/** One broker of three may be away; fewer copies cannot spare one. */
function minInsync(replicas: number): number {
  return replicas >= 3 ? 2 : 1
}

export function driftOf(name: string, spec: TopicSpec, kept: KeptTopic, replicas: number): Drift[] {
  const { settings } = kept
  const wanted = newTopic(name, spec, replicas).settings
  const alter = (setting: string): string =>
    `kafka-configs.sh --bootstrap-server BROKER --alter --topic ${name} ` +
    `--add-config ${setting}=${wanted[setting]}`
  const wrong = (setting: string, words: string): Drift => ({
    found: `${setting} is ${settings[setting] ?? 'unknown'}, ${words}`,
    remedy: alter(setting),
  })
  const number = (setting: string): number => Number(settings[setting] ?? Number.NaN)
  const drift: Drift[] = []

  if (spec.partitionsFixed && kept.partitions !== spec.partitions)
    drift.push({
      found: `it has ${kept.partitions} partitions, not ${spec.partitions}`,
      remedy:
        `the number cannot be mended in place: delete the topic ` +
        `(kafka-topics.sh --bootstrap-server BROKER --delete --topic ${name}) and start again, which ` +
        `makes it anew (nothing is lost that the tables do not hold), or use another topic prefix`,
    })
  if (!spec.partitionsFixed && kept.partitions < spec.partitions)
    drift.push({
      found: `it has ${kept.partitions} partitions, fewer than ${spec.partitions}`,
      remedy:
        `kafka-topics.sh --bootstrap-server BROKER --alter --topic ${name} ` +
        `--partitions ${spec.partitions}`,
    })
  if (settings['cleanup.policy'] !== 'delete')
    drift.push(wrong('cleanup.policy', 'and compaction would drop messages that share a key'))
  if (number('retention.ms') !== -1 && !(number('retention.ms') >= spec.retentionMs))
    drift.push(wrong('retention.ms', `less than ${spec.retentionMs}`))
  if (!(number('max.message.bytes') >= spec.maxMessageBytes))
    drift.push(wrong('max.message.bytes', `less than ${spec.maxMessageBytes}`))
  const bytes = number('retention.bytes')
  if (bytes >= 0)
    drift.push({
      found: `retention.bytes is ${bytes}: messages may go before their time`,
      remedy: `kafka-configs.sh --bootstrap-server BROKER --alter --topic ${name} --delete-config retention.bytes`,
      warning: true,
    })
  if (settings['message.timestamp.type'] !== TIMESTAMPS[spec.timestamps])
    drift.push({ ...wrong('message.timestamp.type', 'which retention goes by'), warning: true })
  const insync = number('min.insync.replicas')
  if (insync > kept.replicas)
    drift.push(wrong('min.insync.replicas', `and with ${kept.replicas} copies nothing is taken`))
  else if (kept.replicas > 1 && insync === kept.replicas)
    drift.push({
      ...wrong('min.insync.replicas', `all copies: one broker away stops the topic`),
      warning: true,
    })
  else if (kept.replicas >= 3 && insync < 2)
    drift.push({
      ...wrong('min.insync.replicas', 'so one broker alone may acknowledge'),
      warning: true,
    })
  if (kept.replicas < replicas)
    drift.push({
      found: `it has ${kept.replicas} copies, fewer than the ${replicas} asked for`,
      remedy:
        `add copies with kafka-reassign-partitions.sh, or set VARVE_REPLICATION to ` +
        `${kept.replicas}`,
      warning: true,
    })
  return drift
}
