// A process with one member of a group, for tests that kill it: prints a line for each message.
// Arguments: brokers, topic prefix, topic, group.

import { fromUtf8 } from '../../../src/base/bytes.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { KafkaBus } from '../../../src/bus/adapters/kafka/bus.ts'

const [brokers = '', topicPrefix = '', topic = '', group = ''] = process.argv.slice(2)
const bus = await KafkaBus.open({
  connection: { brokers: brokers.split(',') },
  topicPrefix,
  clock: systemClock,
  topics: {},
})
bus.subscribe(topic, { group }, (messages) => {
  for (const { partition, value } of messages) console.log(`${partition} ${fromUtf8(value)}`)
  return Promise.resolve()
})
