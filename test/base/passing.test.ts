import { afterEach, expect, test, vi } from 'vitest'
import { passed } from '../../src/base/passing.ts'

const MIB = 1024 * 1024

afterEach(() => void vi.unstubAllGlobals())

test('of what passes a young generation is collected every 16 MiB, whatever the pieces', () => {
  const gc = vi.fn()
  vi.stubGlobal('gc', gc)
  for (let i = 0; i < 1024; i++) passed(MIB / 16)
  expect(gc.mock.calls).toEqual(Array.from({ length: 4 }, () => [{ type: 'minor' }]))
  passed(40 * MIB)
  expect(gc).toHaveBeenCalledTimes(5)
})

test('where the process was not started for it, nothing is done', () => {
  vi.stubGlobal('gc', undefined)
  expect(() => passed(40 * MIB)).not.toThrow()
})
