import { expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../../src/console/address.ts'
import { commandsFor } from '../../src/console/commands.ts'

test.each(['', '?node=repo:metrics', '?project=shop&node=pipeline:a_b&find=x%26y&help'])(
  'the address "%s" comes back as it was',
  (search) => expect(formatAddress(parseAddress(search))).toBe(search),
)

test('a token or anything else foreign in the address is not carried on', () => {
  expect(formatAddress(parseAddress('?token=secret&node=repo:a'))).toBe('?node=repo:a')
})

test('a pipeline that failed leads to its failed datums first', () => {
  const node = { kind: 'pipeline', name: 'enrich', cause: null, pods: null } as const
  const jobs = [
    { id: 'new', state: 'finished' },
    { id: 'old', state: 'failed' },
  ]
  expect(commandsFor(node, jobs, 'default')[0]).toBe('varve datum list enrich@old')
  expect(commandsFor(node, [], 'shop')).toEqual([
    'varve logs enrich --project shop',
    'varve pipeline inspect enrich --project shop',
  ])
})

test('a pipeline whose pods are hindered leads to its pool first', () => {
  const pods = { pool: 'v-shop-1a2b', running: 0, wanted: 4 }
  const cause = { text: 'no node takes the pod', remedy: 'add nodes' }
  const node = { kind: 'pipeline', name: 'enrich', cause, pods } as const
  expect(commandsFor(node, [], 'default')[0]).toBe('varve pool inspect v-shop-1a2b')
  expect(commandsFor({ ...node, cause: null }, [], 'default')[0]).toBe('varve logs enrich')
})
