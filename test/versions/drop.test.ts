import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commitKey, hasEnded } from '../../src/model/entities.ts'
import type { Commit, CommitKey } from '../../src/model/entities.ts'
import type { KeepRule } from '../../src/model/keep.ts'
import type { Op } from '../../src/model/ops.ts'
import { MOST_DROPPED } from '../../src/model/ops.ts'
import type { Proposal } from '../../src/log/machine.ts'
import { versionsMachine } from '../../src/versions/machine.ts'
import { projectEntries } from '../../src/versions/project.ts'
import { Drive, at, commitsIn, tree } from './drive.ts'

const keyOf = ({ repo, branch, id }: CommitKey): CommitKey => ({ repo, branch, id })
const drop = (...commits: readonly (CommitKey | undefined)[]): Op => ({
  op: 'commit.drop',
  commits: commits.flatMap((one) => (one ? keyOf(one) : [])),
})
const byRule = (rule: KeepRule, ...commits: readonly CommitKey[]): Op => ({
  op: 'commit.drop',
  commits: commits.map(keyOf),
  rule,
})

/** A repo with `n` commits on master. */
function line(n: number): Drive {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' })
  for (let i = 0; i < n; i++) drive.yes({ ...drive.put('a'), note: tree(0xf0 + i) })
  return drive
}

/** Why it was refused. */
function why(drive: Drive, op: Op): string {
  const verdict = drive.propose([op])
  if (!('no' in verdict)) throw new Error(`not refused: ${JSON.stringify(verdict)}`)
  return verdict.no.message
}

test('a dropped commit keeps its record and loses its files, and history goes on around it', () => {
  const drive = line(3)
  const [first, second, third] = drive.all('a')
  const entry = drive.yes(drop(first, second))
  expect(drive.all('a')).toEqual([
    { ...first, root: null, note: null, dropped: { seq: entry.seq, atMs: entry.atMs } },
    { ...second, root: null, note: null, dropped: { seq: entry.seq, atMs: entry.atMs } },
    third,
  ])
  expect(drive.branch('a').head?.root).toBe(third?.root)
  // Again is nothing, and the branch cannot go back to it.
  expect(commitsIn(drive.yes(drop(first)))).toEqual([])
  if (!first) throw new Error('no commit')
  expect(drive.no({ op: 'branch.put', branch: at('a'), head: first.id })).toBe('NOT_FOUND_COMMIT')
  drive.yes(drive.put('a'))
  expect(drive.all('a').at(-1)?.parent).toBe(third?.id)
})

test('all of a drop happens, or nothing', () => {
  const drive = line(3)
  const [first, , head] = drive.all('a')
  expect(drive.no(drop(first, head))).toBe('HAS_CHILDREN')
  expect(drive.all('a')[0]).toEqual(first)
  const many = Array.from({ length: MOST_DROPPED + 1 }, () => first)
  expect(drive.no(drop(...many))).toBe('TOO_LARGE')
  expect(drive.no({ op: 'commit.drop', commits: [{ ...at('a'), id: '0' as Commit['id'] }] })).toBe(
    'NOT_FOUND_COMMIT',
  )
})

test('what is needed is refused with its reason', () => {
  const drive = line(1)
  drive.yes(drive.pipeline('b', ['a']))
  const [input] = drive.all('a')
  drive.yes({ op: 'commit.open', branch: at('a@side'), note: null })
  expect(why(drive, drop(drive.all('a@side')[0]))).toContain('"varve commit delete"')
  drive.yes(drive.put('a'))
  // Two commits wait on b: one made from each.
  expect(why(drive, drop(input))).toContain('"b@master=')
  expect(why(drive, drop(drive.all('b')[0]))).toContain('it is queued')
  drive.run('b')
  expect(why(drive, drop(drive.all('a')[1]))).toContain('it is the head of "a@master"')
  drive.yes(drop(input))
  drive.run('b', 'failed')
  const [good, failed] = drive.all('b')
  expect(why(drive, drop(good))).toContain('it is the head of "b@master"')
  expect(why(drive, drop(failed))).toContain('it is the newest commit of "b@master"')
  drive.yes(drive.put('a'))
  drive.run('b')
  drive.yes(drop(good, failed))
})

test('an egress keeps what it has not delivered, and the base of its next diff', () => {
  const drive = line(4)
  const [first, second, third] = drive.all('a')
  drive.yes({ op: 'egress.put', egress: { ...at('a'), name: 'out', spec: {} } })
  expect(why(drive, drop(first))).toContain('the egress "out" has not delivered past it')
  if (!second) throw new Error('no commit')
  const to = { commit: second.id, records: 1, done: true }
  const told = { name: 'out', epoch: 0, records: 1, coordinates: {} }
  drive.yes({ op: 'egress.delivered', ...told, from: null, to })
  expect(why(drive, drop(second))).toContain('egress')
  expect(why(drive, drop(third))).toContain('egress')
  drive.yes(drop(first))
  // It came further while the drop was prepared: looked up again.
  const prepared = drive.prepare([drop(second)])
  if (!third) throw new Error('no commit')
  const further = { commit: third.id, records: 1, done: true }
  drive.yes({ op: 'egress.delivered', ...told, from: to, to: further })
  expect(drive.propose([drop(second)], prepared)).toEqual({ again: true })
  drive.yes(drop(second))
})

test('retention is refused by state, unrecorded: a repeat, another rule, what is needed', () => {
  const drive = line(3)
  const [first, , third] = drive.all('a')
  if (!first || !third) throw new Error('no commit')
  const rule: KeepRule = { last: 1, youngerThanMs: null }
  const before = drive.seq
  expect(drive.no(byRule(rule, first))).toBe('STALE_STATE')
  drive.yes({ op: 'retention.put', repo: 'a', keep: rule })
  expect(drive.no(byRule({ ...rule, last: 2 }, first))).toBe('STALE_STATE')
  expect(drive.no(byRule(rule, third))).toBe('STALE_STATE')
  drive.yes(byRule(rule, first))
  expect(drive.no(byRule(rule, first))).toBe('STALE_STATE')
  expect(drive.seq).toBe(before + 2)
  drive.yes({ op: 'retention.put', repo: 'a', branch: 'master', keep: 'all' })
  expect(drive.no(byRule(rule, third))).toBe('STALE_STATE')
  drive.yes({ op: 'retention.put', repo: 'a', branch: 'master', keep: null })
  expect(drive.branch('a')).not.toHaveProperty('keep')
  const none = { last: null, youngerThanMs: null }
  expect(drive.no({ op: 'retention.put', repo: 'a', keep: none })).toBe('INVALID_OPTION')
  expect(drive.no({ op: 'retention.put', repo: 'a', branch: 'x', keep: rule })).toBe(
    'NOT_FOUND_BRANCH',
  )
})

test('rows of a drop: the commit alone, in its own place; a rule leaves where its repo begins', () => {
  const drive = line(2)
  drive.yes({ op: 'commit.open', branch: at('a'), note: null })
  const [first] = drive.all('a')
  const entry = drive.yes(drop(first))
  const rows = projectEntries('default', 1, [entry])
  expect(rows.map(({ table }) => table.name)).toEqual(['commits'])
  expect(rows[0]).toMatchObject({ put: { seq: first?.openedSeq, id: first?.id } })
  const put = drive.yes({ op: 'retention.put', repo: 'a', keep: 'all' })
  const [repo] = projectEntries('default', 1, [put])
  expect(repo).toMatchObject({ put: { name: 'a', created_seq: 1 } })
})

test('a drop and a branch that is moved in the same repo are prepared one after the other', () => {
  const drive = line(2)
  const [first] = drive.all('a')
  if (!first) throw new Error('no commit')
  const { orderedBy } = versionsMachine({} as Parameters<typeof versionsMachine>[0])
  const keys = (op: Op): readonly string[] => orderedBy({ ops: [op] } as unknown as Proposal<Op>)
  const moved = keys({ op: 'branch.put', branch: at('a@side'), head: first.id })
  const dropped = keys(drop(first))
  expect(moved.filter((key) => dropped.includes(key))).not.toEqual([])
})

test('whatever is dropped when, nothing that something needs goes', () => {
  const act = fc.oneof(
    fc
      .constantFrom('a', 'side', 'start', 'finish', 'fail', 'deliver')
      .map((what) => ({ what, n: 0 })),
    fc.record({ what: fc.constant('drop'), n: fc.nat(40) }),
  )
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const drive = line(1)
      drive.yes(drive.pipeline('b', ['a']))
      drive.yes({ op: 'egress.put', egress: { ...at('a'), name: 'out', spec: {} } })
      for (const { what, n } of acts) {
        const front = drive.open('b')[0]
        if (what === 'a') drive.yes(drive.put('a'))
        if (what === 'side') drive.yes(drive.put('a@side'))
        if (what === 'start' && front) drive.propose([drive.startJob(front)])
        if (what === 'finish' && front) drive.propose([drive.finishJob(front, 'finished')])
        if (what === 'fail' && front) drive.propose([drive.finishJob(front, 'failed')])
        if (what === 'deliver') deliverNext(drive)
        if (what === 'drop')
          drive.propose([drop([...drive.commits.values()][n % drive.commits.size])])
        check(drive)
      }
    }),
    { numRuns: 200 },
  )
})

/** The next commit of a@master, whole. */
function deliverNext(drive: Drive): void {
  const egress = drive.state.egresses.get('out')
  const line = drive.all('a')
  const next = line[line.findIndex(({ id }) => id === egress?.base) + 1]
  if (!egress || !next) return
  drive.yes({
    op: 'egress.delivered',
    name: 'out',
    epoch: 0,
    from: egress.progress,
    to: { commit: next.id, records: 1, done: true },
    records: 1,
    coordinates: {},
  })
}

function check(drive: Drive): void {
  const kept = (key: CommitKey): void => {
    expect(drive.commits.get(commitKey(key))).not.toHaveProperty('dropped')
  }
  for (const { repo, branch, head, tip } of drive.state.branches.values())
    for (const one of [head, tip]) if (one) kept({ repo, branch, id: one.id })
  for (const commit of drive.commits.values())
    if (!hasEnded(commit.state)) [commit, ...commit.provenance].forEach(kept)
  const line = drive.all('a')
  const base = line.findIndex(({ id }) => id === drive.state.egresses.get('out')?.base)
  line.slice(Math.max(0, base)).forEach(kept)
}
