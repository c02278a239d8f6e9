import { expect, test } from 'vitest'
import { parseRef } from '../../src/model/ref.ts'

const NOTHING = {
  project: undefined,
  version: undefined,
  branch: undefined,
  back: 0,
  path: undefined,
}

test.each([
  ['events', { ...NOTHING, repo: 'events' }],
  ['p1/events@master', { ...NOTHING, project: 'p1', repo: 'events', version: 'master' }],
  ['events@master^', { ...NOTHING, repo: 'events', version: 'master', back: 1 }],
  ['events@master^^^', { ...NOTHING, repo: 'events', version: 'master', back: 3 }],
  ['events@master^3', { ...NOTHING, repo: 'events', version: 'master', back: 3 }],
  ['events@master~2', { ...NOTHING, repo: 'events', version: 'master', back: 2 }],
  [
    'events@master=0192ab:/a/b',
    { ...NOTHING, repo: 'events', branch: 'master', version: '0192ab', path: 'a/b' },
  ],
  ['events:/', { ...NOTHING, repo: 'events', path: '' }],
  ['events@main:x:y', { ...NOTHING, repo: 'events', version: 'main', path: 'x:y' }],
])('ref: %s', (text, ref) => {
  expect(parseRef(text)).toEqual(ref)
})

test.each(['', '@master', 'a b', 'events@', 'a/b/c', 'events@x@y'])(
  'ref: %j is refused',
  (text) => {
    expect(() => parseRef(text)).toThrow(/cannot read/)
  },
)
