import { expect, test } from 'vitest'
import { murmur2, partitionOf } from '../../src/kafka/murmur2.ts'

// Values of org.apache.kafka.common.utils.Utils.murmur2, as Kafka's own tests pin them.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %j is what Java says', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})

test('the partition is that of a Java producer', () => {
  // toPositive(hash) % n
  expect(partitionOf(Buffer.from('21'), 10)).toBe((-973932308 & 0x7fffffff) % 10)
  expect(partitionOf(Buffer.from('abc'), 7)).toBe(479470107 % 7)
})
