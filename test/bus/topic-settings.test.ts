import { expect, test } from 'vitest'
import { driftOf, newTopic } from '../../src/bus/adapters/kafka/topic-settings.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { TOPIC_SPECS } from '../../src/bus/topics.ts'

const made = (topic: string, replicas: number) => {
  const spec = TOPIC_SPECS[topic]
  if (!spec) throw new Error(topic)
  const { partitions, settings } = newTopic(topic, spec, replicas)
  return { spec, kept: { partitions, replicas, settings } }
}

test.each([1, 2, 3])('every topic made with %i copies is kept as it must be', (replicas) => {
  for (const topic of Object.values(TOPICS)) {
    const { spec, kept } = made(topic, replicas)
    expect(driftOf(topic, spec, kept, replicas)).toEqual([])
  }
})

test.each<[Record<string, string>, string, boolean]>([
  [{ 'cleanup.policy': 'compact,delete' }, 'cleanup.policy=delete', true],
  [{ 'retention.ms': '1000' }, 'retention.ms=604800000', true],
  [{ 'max.message.bytes': '1000' }, 'max.message.bytes=1048576', true],
  [{ 'min.insync.replicas': '4' }, 'min.insync.replicas=2', true],
  [{ 'min.insync.replicas': '3' }, 'min.insync.replicas=2', false],
  [{ 'min.insync.replicas': '1' }, 'min.insync.replicas=2', false],
  [{ 'message.timestamp.type': 'CreateTime' }, 'message.timestamp.type=LogAppendTime', false],
  [{ 'retention.bytes': '1000' }, '--delete-config retention.bytes', false],
])('%j: the remedy, and whether it is refused', (changed, remedy, refused) => {
  const { spec, kept } = made(TOPICS.log, 3)
  const drift = driftOf('x.log', spec, { ...kept, settings: { ...kept.settings, ...changed } }, 3)
  expect(drift).toHaveLength(1)
  expect(drift[0]?.remedy).toContain(`--topic x.log`)
  expect(drift[0]?.remedy).toContain(remedy)
  expect(drift[0]?.warning !== true).toBe(refused)
})

test('more than asked for is fine, except partitions that a name is computed into', () => {
  const more = { 'retention.ms': '-1', 'max.message.bytes': '99999999' }
  const log = made(TOPICS.log, 3)
  const settings = { ...log.kept.settings, ...more }
  expect(driftOf('x', log.spec, { ...log.kept, settings }, 3)).toEqual([])
  const [drift] = driftOf('x', log.spec, { ...log.kept, partitions: 65 }, 3)
  expect(drift?.remedy).toContain('delete the topic')
  const lines = made(TOPICS.lines, 3)
  expect(driftOf('x', lines.spec, { ...lines.kept, partitions: 65 }, 3)).toEqual([])
  expect(driftOf('x', lines.spec, { ...lines.kept, partitions: 1 }, 3)).toHaveLength(1)
})
