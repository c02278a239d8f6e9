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
  const node = { kind: 'pipeline', name: 'enrich', bands: [] } as const
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
