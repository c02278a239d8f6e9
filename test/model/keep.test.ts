import fc from 'fast-check'
import { expect, test } from 'vitest'
import { expired, isKeepRule, ruleOf, sameRule } from '../../src/model/keep.ts'
import type { KeepRule, Kept } from '../../src/model/keep.ts'

const NOW_MS = 1_000_000

const some = fc.option(fc.integer({ min: 1, max: 30 }), { nil: null })
const rules: fc.Arbitrary<KeepRule> = fc.oneof(
  fc.constant('all' as const),
  fc
    .record({ last: some, youngerThanMs: some.map((n) => n && n * 20_000) })
    .filter((rule) => isKeepRule(rule)),
)
/** The newest first. */
const lines = fc
  .array(
    fc.record({
      state: fc.constantFrom('finished', 'finished', 'failed', 'superseded'),
      agoMs: fc.nat(600_000),
      what: fc.constantFrom('kept', 'kept', 'kept', 'dropped', 'open'),
    }),
    { maxLength: 40 },
  )
  .map((line) =>
    line
      .toSorted((a, b) => a.agoMs - b.agoMs)
      .map(({ state, agoMs, what }): Kept => {
        if (what === 'open') return { state: 'running', endedAtMs: null }
        const ended = { state, endedAtMs: NOW_MS - agoMs }
        return what === 'dropped' ? { ...ended, dropped: {} } : ended
      }),
  )
const isKept = (one: Kept): boolean => one.endedAtMs !== null && one.dropped === undefined

test('the newest results and the young are never expired, and only what was kept is', () => {
  fc.assert(
    fc.property(rules, lines, (rule, line) => {
      const gone = expired(rule, line, NOW_MS)
      for (const one of gone) expect(isKept(one)).toBe(true)
      if (rule === 'all') {
        expect(gone).toEqual([])
        return
      }
      const results = line.filter((one) => isKept(one) && one.state === 'finished')
      for (const one of results.slice(0, rule.last ?? 0)) expect(gone).not.toContain(one)
      for (const one of line)
        if (one.endedAtMs !== null && NOW_MS - one.endedAtMs < (rule.youngerThanMs ?? 0))
          expect(gone).not.toContain(one)
    }),
  )
})

test('what is neither among the newest nor young is expired', () => {
  fc.assert(
    fc.property(rules, lines, (rule, line) => {
      if (rule === 'all') return
      const gone = new Set(expired(rule, line, NOW_MS))
      const left = line.filter((one) => isKept(one) && !gone.has(one))
      const old = left.filter((one) => NOW_MS - (one.endedAtMs ?? 0) >= (rule.youngerThanMs ?? 0))
      const results = old.filter(({ state }) => state === 'finished')
      expect(results.length).toBeLessThanOrEqual(rule.last ?? 0)
      // Of bad ends only those stay that are newer than the last result that is kept for being new.
      if (rule.last === null) expect(old).toEqual([])
    }),
  )
})

test('once dropped, the same rule lets no more go; time only lets more go', () => {
  fc.assert(
    fc.property(rules, lines, fc.nat(600_000), (rule, line, laterMs) => {
      const gone = new Set(expired(rule, line, NOW_MS))
      const after = line.map((one) => (gone.has(one) ? { ...one, dropped: {} } : one))
      expect(expired(rule, after, NOW_MS)).toEqual([])
      const later = expired(rule, line, NOW_MS + laterMs)
      for (const one of gone) expect(later).toContain(one)
    }),
  )
})

test('a branch has its own rule, else that of its repo, else all are kept', () => {
  const keep: KeepRule = { last: 3, youngerThanMs: null }
  expect(ruleOf(undefined, undefined)).toBe('all')
  expect(ruleOf({ keep }, {})).toBe(keep)
  expect(ruleOf({ keep }, { keep: 'all' })).toBe('all')
  expect(sameRule(keep, { ...keep })).toBe(true)
  expect(sameRule(keep, 'all')).toBe(false)
  for (const last of [0, -1, 1.5, Number.NaN])
    expect(isKeepRule({ last, youngerThanMs: null })).toBe(false)
})
