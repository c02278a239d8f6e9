import { expect, test } from 'vitest'

import { seededRandom } from '../../src/base/random.ts'
import type { BusMessage } from '../../src/bus/bus.ts'
import type { Proposal } from '../../src/log/machine.ts'
import { decodeSent, decodeTold, encodeEntries, encodeSent, shardOf } from '../../src/log/wire.ts'
import { idSource } from '../../src/model/id.ts'
import { systemClock } from '../../src/base/clock.ts'

const nextId = idSource(systemClock, seededRandom(1))
const proposal: Proposal<{ op: string }> = {
  project: 'p',
  id: nextId(),
  ops: [{ op: 'é' }],
  principal: 'someone',
  cause: nextId(),
  issuedAtMs: 5,
  fingerprint: 'f',
  machine: false,
}

/** As another process gets it. */
function carried({ partition, key, headers, value }: BusMessage): BusMessage {
  return { partition, key, headers, value }
}

test('a proposal means the same in another process', () => {
  for (const kind of ['propose', 'give-up'] as const) {
    const sent = { kind, proposal }
    expect(decodeSent(carried(encodeSent(sent)))).toEqual(sent)
    expect(decodeSent(encodeSent(sent))).toEqual(sent)
  }
})

test('what makes no sense is said to make none', () => {
  const good = carried(encodeSent({ kind: 'propose', proposal }))
  const values = [
    '',
    '{',
    'null',
    '[]',
    '{"project":"p"}',
    JSON.stringify({ ...proposal, id: 'x' }),
  ]
  for (const value of values) {
    const bad = { ...good, value: new TextEncoder().encode(value) }
    expect(decodeSent(bad)).toBeUndefined()
  }
  expect(decodeSent({ ...good, headers: {} })).toBeUndefined()
  expect(decodeTold({ ...good, headers: { kind: 'entries' } })).toBeUndefined()
  expect(decodeTold(carried(encodeEntries('p', [])))).toEqual({
    kind: 'entries',
    project: 'p',
    entries: [],
  })
})

// Pinned: topics are laid out by it.
test('the shard of a project never changes', () => {
  expect(['default', '_system', 'a', 'video-etl'].map(shardOf)).toMatchInlineSnapshot(`
    [
      30,
      15,
      44,
      42,
    ]
  `)
})
