import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/log/machine.ts'
import type { Branch, Commit } from '../../src/model/entities.ts'
import { commitKey } from '../../src/model/entities.ts'
import type { Fact, Op } from '../../src/model/ops.ts'
import { HistoryCheck } from '../../src/versions/history-check.ts'
import type { Fault } from '../../src/versions/history-check.ts'
import { Drive, at, idOf } from './drive.ts'

test('whatever is decided, nothing is found: moves, copies, deletes and cuts across too', () => {
  const plain = fc.constantFrom('a', 'b', 'a@x', 'b@x')
  const piped = fc.constantFrom('p', 'q', 'r')
  const any = fc.oneof(plain, piped)
  const pick = fc.nat(20)
  type Step = (drive: Drive) => Op | undefined
  const often = fc.oneof(
    plain.map(
      (name): Step =>
        (drive) =>
          drive.put(name),
    ),
    fc.tuple(plain, pick).map(([name, n]): Step => (drive) => {
      const known = [...drive.commits.values()].filter(({ repo }) => repo === at(name).repo)
      const commit = known[n % Math.max(1, known.length)]
      return commit && { op: 'branch.put', branch: at(name), head: commit.id }
    }),
    fc.tuple(piped, fc.boolean()).map(([name, good]): Step => (drive) => {
      const [front] = drive.open(name)
      if (!front) return undefined
      const isRunning = drive.state.jobs.has(commitKey(front))
      const state = good ? 'finished' : 'failed'
      return isRunning ? drive.finishJob(front, state) : drive.startJob(front)
    }),
    fc.tuple(piped, fc.uniqueArray(any, { maxLength: 2 }), fc.constantFrom('every', 'latest')).map(
      ([name, inputs, backlog]): Step =>
        (drive) =>
          drive.pipeline(name, inputs, { backlog }),
    ),
    pick.map((n): Step => (drive) => {
      const open = [...drive.state.commits.values()].filter(({ state }) => state === 'open')
      const commit = open[n % Math.max(1, open.length)]
      return commit && { op: 'commit.finish', commit, change: drive.change() }
    }),
  )
  const seldom = fc.oneof(
    fc.tuple(plain, fc.uniqueArray(any, { maxLength: 2 })).map(([name, inputs]): Step => () => {
      return { op: 'branch.put', branch: at(name), provenance: inputs.map(at) }
    }),
    piped.map((name): Step => () => ({ op: 'pipeline.stop', name })),
    piped.map((name): Step => () => ({ op: 'pipeline.start', name })),
    piped.map((name): Step => () => ({ op: 'pipeline.delete', name })),
    any.map((name): Step => () => ({ op: 'branch.delete', branch: at(name), force: true })),
    plain.map((name): Step => () => ({ op: 'repo.delete', name: at(name).repo, force: true })),
    plain.map((name): Step => () => ({ op: 'repo.create', name: at(name).repo })),
    plain.map((name): Step => () => ({ op: 'commit.open', branch: at(name), note: null })),
  )
  const step = fc.oneof({ arbitrary: often, weight: 6 }, { arbitrary: seldom, weight: 1 })
  const entry = fc.array(step, { minLength: 1, maxLength: 3 })
  let moved = 0
  let bad = 0
  fc.assert(
    fc.property(fc.array(entry, { minLength: 20, maxLength: 60 }), (entries) => {
      const drive = new Drive()
      drive.yes({ op: 'repo.create', name: 'a' }, { op: 'repo.create', name: 'b' })
      // The drive itself looks at every entry, and throws.
      for (const steps of entries) {
        const ops = steps.flatMap((one) => one(drive) ?? [])
        if (ops.length > 0) drive.propose(ops)
      }
      const facts = drive.entries.flatMap(({ decision }) => ('yes' in decision ? decision.yes : []))
      moved += facts.filter(({ f }) => f === 'branch.moved').length
      bad += facts.filter(({ f }) => f === 'commit.failed').length
    }),
    { numRuns: 150 },
  )
  expect(Math.min(moved, bad)).toBeGreaterThan(100)
})

/** a → p → q, and r of both a and q; two commits through all of it, then one that p fails at. */
function history(): Drive {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' })
  drive.yes(drive.pipeline('p', ['a']), drive.pipeline('q', ['p']), drive.pipeline('r', ['a', 'q']))
  const first = drive.yes(drive.put('a'))
  for (const name of ['p', 'q', 'r']) drive.run(name)
  drive.yes(drive.put('a'))
  for (const name of ['p', 'q', 'r']) drive.run(name)
  drive.yes({ op: 'branch.put', branch: at('a'), head: first.id })
  drive.run('p', 'failed')
  drive.yes(drive.put('a'))
  for (const name of ['p', 'q', 'r']) drive.run(name)
  return drive
}

type Change = (fact: Fact, entry: Entry<Fact>) => Fact | undefined

/** What is found when facts are other ones; undefined: left out. */
function found(change: Change): readonly Fault[] {
  let changes = 0
  const check = new HistoryCheck('default')
  const faults = history().entries.flatMap((entry) => {
    if (!('yes' in entry.decision)) return check.faultsOf(entry)
    const yes = entry.decision.yes.flatMap((fact) => {
      const other = change(fact, entry)
      if (other !== fact) changes++
      return other ?? []
    })
    return check.faultsOf({ ...entry, decision: { yes } })
  })
  expect(changes).toBeGreaterThan(0)
  return faults
}

const commits =
  (
    which: (commit: Commit, entry: Entry<Fact>) => boolean,
    change: (commit: Commit) => object,
  ): Change =>
  (fact, entry) =>
    'commit' in fact && which(fact.commit, entry)
      ? { ...fact, commit: { ...fact.commit, ...change(fact.commit) } }
      : fact
const branches =
  (f: Fact['f'], repo: string, change: (branch: Branch) => object): Change =>
  (fact) =>
    'branch' in fact && fact.f === f && fact.branch.repo === repo
      ? { ...fact, branch: { ...fact.branch, ...change(fact.branch) } }
      : fact

const STRANGER = idOf(0xfff)
const ends = ({ state }: Commit): boolean => state === 'finished'
const opens =
  (repo: string) =>
  (commit: Commit, entry: Entry<Fact>): boolean =>
    commit.repo === repo && commit.openedSeq === entry.seq && commit.state === 'queued'

describe('heads that are not linear are found', () => {
  test.each<[string, Change, RegExp]>([
    ['a parent that is not the head', commits(ends, () => ({ parent: STRANGER })), /stands on/],
    [
      'a head that goes back without a move',
      branches('branch.changed', 'a', ({ head, tip }) => ({
        head: head && { ...head, id: STRANGER },
        tip,
      })),
      /the head of a@master becomes/,
    ],
    [
      'a tip that nobody made',
      branches('branch.changed', 'p', ({ tip }) => ({ tip: tip && { ...tip, id: STRANGER } })),
      /the tip of p@master becomes/,
    ],
    [
      'a move without an epoch',
      branches('branch.moved', 'a', () => ({ epoch: 0 })),
      /is moved, and its/,
    ],
    [
      'an epoch without a move',
      branches('branch.changed', 'a', () => ({ epoch: 7 })),
      /nobody moved it/,
    ],
    ['an end at another entry', commits(ends, () => ({ endedSeq: 1 })), /says at 1/],
    [
      'an end of what is not open',
      commits(
        ({ repo, state }) => repo === 'p' && state === 'finished',
        () => ({ openedSeq: 2 }),
      ),
      /changes, which was not open/,
    ],
    [
      'an end that moves no head',
      (fact) => ('branch' in fact && fact.f === 'branch.changed' ? undefined : fact),
      /does not become the commit that ended/,
    ],
    [
      'an end out of turn',
      commits(
        ({ repo, state }) => repo === 'p' && state === 'failed',
        () => ({ state: 'queued' }),
      ),
      /is the front; what follows is unread/,
    ],
  ])('%s', (_, change, words) => {
    expect(found(change).filter(({ of }) => of === 'heads')[0]?.text).toMatch(words)
  })
})

describe('torn lineage is found', () => {
  test.each<[string, Change, RegExp]>([
    [
      'an input left out',
      commits(opens('r'), ({ provenance }) => ({ provenance: provenance.slice(1) })),
      /r@master=.* is made from q@master; its branch from others/,
    ],
    [
      'an older version of an input',
      commits(opens('q'), ({ provenance }) => {
        return { provenance: provenance.map((input) => ({ ...input, id: STRANGER })) }
      }),
      /the tip is/,
    ],
    ['sources that lack one', commits(opens('q'), () => ({ sources: {} })), /does not name what/],
    [
      'another version among the sources',
      commits(opens('r'), ({ sources }) => ({ sources: { ...sources, 'a@master': STRANGER } })),
      /does not name what/,
    ],
    [
      'two versions of one branch',
      branches('branch.changed', 'q', ({ tip }) => {
        return { tip: tip && { ...tip, sources: { ...tip.sources, 'a@master': STRANGER } } }
      }),
      /r@master=.* holds two versions of a@master/,
    ],
    [
      'nothing opened below',
      (fact, { seq }) => {
        const isOfR =
          ('commit' in fact && fact.commit.repo === 'r') ||
          ('branch' in fact && fact.branch.repo === 'r')
        return seq === 3 && isOfR ? undefined : fact
      },
      /has a new tip, and nothing opens on r@master/,
    ],
    [
      'a circle',
      branches('branch.created', 'a', () => ({ provenance: [at('q')] })),
      /is made from itself/,
    ],
    [
      'an end before an input has ended',
      (fact, { seq }) =>
        seq === 3 && 'commit' in fact && fact.commit.repo === 'q'
          ? { f: 'commit.finished', commit: { ...fact.commit, state: 'finished', endedSeq: 3 } }
          : fact,
      /q@master=.* ends before p@master=/,
    ],
    [
      'a good end in spite of a cause',
      commits(
        ({ repo, state }) => repo === 'p' && (state === 'queued' || state === 'running'),
        () => ({ cause: { code: 'STOPPED', text: '', commit: null } }),
      ),
      /ends well in spite of its cause/,
    ],
    [
      'a bad end of which nobody below hears',
      (fact) => {
        if (!('commit' in fact) || fact.commit.state !== 'unrunnable') return fact
        return { f: 'commit.changed', commit: { ...fact.commit, state: 'queued', cause: null } }
      },
      /waits for p@master=.*, which ended failed/,
    ],
  ])('%s', (_, change, words) => {
    const texts = found(change)
      .filter(({ of }) => of === 'lineage')
      .map(({ text }) => text)
    expect(
      texts.some((text) => words.test(text)),
      texts.join('\n'),
    ).toBe(true)
  })
})

test('a fact of a newer release is found, and ends the looking', () => {
  const faults = found((fact) =>
    fact.f === 'branch.moved' ? ({ ...fact, f: 'branch.sent' } as never) : fact,
  )
  expect(faults).toHaveLength(1)
  expect(faults[0]?.text).toContain('unknown fact')
})
