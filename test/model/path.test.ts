import { expect, test } from 'vitest'
import { parseFilePath, parsePath } from '../../src/model/path.ts'

test.each(['a', 'a/b.txt', '日本/ü.csv', '*?[x]{y}', 'a b/#1', '...'])(
  'path: %s is accepted',
  (text) => {
    expect(parsePath(`/${text}/`)).toBe(text)
  },
)

test.each([
  ['a//b', 'a part is empty'],
  ['a/../b', 'a part is ".."'],
  ['./a', 'a part is "."'],
  ['a\0b', 'NUL'],
  ['e\u0301', 'NFC'],
  ['\ud800', 'Unicode'],
  ['x'.repeat(256), 'a part is over 255'],
  [Array(20).fill('y'.repeat(60)).join('/'), 'over 1024 bytes'],
])('path: %j is refused: %s', (text, why) => {
  expect(() => parsePath(text)).toThrow(why)
})

test('path: the root is not a file', () => {
  expect(() => parseFilePath('/')).toThrow('path of a file')
})
