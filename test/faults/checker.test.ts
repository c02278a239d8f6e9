// The test of the judge: it finds nothing wrong with a good run, and every planted violation.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  checkCommits,
  checkDecided,
  checkDelivery,
  checkFeed,
  checkJobs,
  checkLog,
  checkOrder,
  landed,
  opsOf,
} from './checker.ts'
import type { Found, FoundCommit } from './checker.ts'
import { Journal, readJournal } from './journal.ts'
import type { Answered, Line, Sent } from './journal.ts'

const sent = (op: number, more: Partial<Sent> = {}): Sent => ({
  kind: 'sent',
  op,
  attempt: 1,
  client: 'a',
  id: `id-${op}`,
  repo: 'files',
  branch: 'main',
  path: `p${op}`,
  text: `text ${op}`,
  expects: 'yes',
  ...more,
})
const yes = (op: number, commit = `id-${op}`): Answered => ({
  kind: 'answered',
  op,
  attempt: 1,
  answer: 'yes',
  status: 200,
  commit,
})
const no = (op: number, code: string): Answered => ({
  kind: 'answered',
  op,
  attempt: 1,
  answer: 'no',
  status: 409,
  code,
})
const unknown = (op: number): Answered => ({
  kind: 'answered',
  op,
  attempt: 1,
  answer: 'unknown',
  status: 0,
})

/** Ops 0, 1, 2 one after another on one branch, 2 asked for twice, 3 refused, 4 reuses the id of 0. */
const LINES: readonly Line[] = [
  sent(0),
  yes(0),
  sent(1, { path: 'same' }),
  yes(1),
  sent(2, { path: 'same' }),
  unknown(2),
  sent(2, { path: 'same', attempt: 2 }),
  yes(2),
  sent(3, { expects: 'PATH_CONFLICT' }),
  no(3, 'PATH_CONFLICT'),
  sent(4, { id: 'id-0', path: 'p0', expects: 'KEY_REUSED' }),
  no(4, 'KEY_REUSED'),
]

const commit = (n: number, more: Partial<FoundCommit> = {}): FoundCommit => ({
  repo: 'files',
  branch: 'main',
  id: `id-${n}`,
  parent: n === 0 ? null : `id-${n - 1}`,
  state: 'finished',
  openedSeq: n + 1,
  ...more,
})
const COMMITS = [commit(0), commit(1), commit(2)]

const found = (more: Partial<Found> = {}): Found => ({
  commits: COMMITS,
  heads: new Map([['files@main', 'id-2']]),
  texts: new Map([
    ['id-0:p0', 'text 0'],
    ['id-1:same', 'text 1'],
    ['id-2:same', 'text 2'],
  ]),
  headTexts: new Map([
    ['files@main:p0', 'text 0'],
    ['files@main:same', 'text 2'],
  ]),
  ...more,
})

function judge(lines: readonly Line[], there: Found): string[] {
  const { ops, wrong } = opsOf(lines)
  return [...wrong, ...checkCommits(ops, there), ...checkOrder(lines, ops, there)]
}

describe('checker', () => {
  test('a good run has nothing wrong', () => {
    expect(judge(LINES, found())).toEqual([])
  })

  test.each<[what: string, says: RegExp, lines: readonly Line[], there: Found]>([
    [
      'an acknowledged commit is lost',
      /op 2 .*is lost/,
      LINES,
      found({ commits: COMMITS.slice(0, 2), heads: new Map([['files@main', 'id-1']]) }),
    ],
    [
      'a commit is there twice',
      /op 1 .*2 times/,
      LINES,
      found({ commits: [...COMMITS, commit(1)] }),
    ],
    [
      'a commit has other bytes',
      /op 1 .*bytes/,
      LINES,
      found({ texts: new Map([...found().texts, ['id-1:same', 'text 2']]) }),
    ],
    [
      'a commit has no bytes',
      /op 0 .*bytes/,
      LINES,
      found({ texts: new Map([...found().texts].slice(1)) }),
    ],
    [
      'an acknowledged commit is not finished',
      /op 1 .*is failed/,
      LINES,
      found({ commits: [commit(0), commit(1, { state: 'failed' }), commit(2)] }),
    ],
    [
      'a refused op is there',
      /op 3 .*refused .*is there/,
      LINES,
      found({ commits: [...COMMITS, commit(3)], heads: new Map([['files@main', 'id-3']]) }),
    ],
    [
      'a commit nobody sent',
      /nobody sent/,
      LINES,
      found({ commits: [...COMMITS, commit(9, { parent: 'id-2' })] }),
    ],
    ['an op without an answer', /op 2 .*never got/, LINES.slice(0, 7), found()],
    ['two answers to one op', /op 2 .*yes .*then no/, [...LINES, no(2, 'EXPIRED')], found()],
    [
      'a refusal nobody expected',
      /op 3 .*EXPIRED instead of/,
      [...LINES.slice(0, 9), no(3, 'EXPIRED')],
      found(),
    ],
    [
      'a yes where a no must come',
      /op 4 .*yes instead of KEY_REUSED/,
      [...LINES.slice(0, 11), yes(4, 'id-0')],
      found(),
    ],
    [
      'an answer that names another commit',
      /op 1 .*with the commit id-0/,
      [...LINES.slice(0, 3), yes(1, 'id-0'), ...LINES.slice(4)],
      found(),
    ],
    [
      'what was known stands above what came later',
      /op 1 .*below op 0/,
      LINES,
      found({
        commits: [
          commit(0, { parent: 'id-1', openedSeq: 2 }),
          commit(1, { parent: null, openedSeq: 1 }),
          commit(2, { parent: 'id-0' }),
        ],
      }),
    ],
    [
      'a fork',
      /id-2 is finished and not below/,
      LINES,
      found({ heads: new Map([['files@main', 'id-1']]) }),
    ],
    [
      'a history in a circle',
      /does not end/,
      LINES,
      found({ commits: [commit(0, { parent: 'id-2' }), commit(1), commit(2)] }),
    ],
    ['a history with a hole', /does not end/, LINES, found({ commits: [commit(0), commit(2)] })],
    [
      'a history against the log',
      /does not follow the log/,
      LINES,
      found({ commits: [commit(0), commit(1, { openedSeq: 7 }), commit(2)] }),
    ],
    [
      'an older write at the head',
      /head does not show op 2/,
      LINES,
      found({ headTexts: new Map([...found().headTexts, ['files@main:same', 'text 1']]) }),
    ],
  ])('finds: %s', (_what, says, lines, there) => {
    expect(judge(lines, there).join('\n')).toMatch(says)
  })

  test('ops under way at the same time may stand in either order', () => {
    const lines = [sent(0), sent(1), yes(1), yes(0), sent(2), yes(2)]
    const texts = new Map([0, 1, 2].map((n) => [`id-${n}:p${n}`, `text ${n}`]))
    const headTexts = new Map([0, 1, 2].map((n) => [`files@main:p${n}`, `text ${n}`]))
    const swapped = [
      commit(0, { parent: 'id-1', openedSeq: 2 }),
      commit(1, { parent: null, openedSeq: 1 }),
      commit(2, { parent: 'id-0' }),
    ]
    expect(judge(lines, found({ texts, headTexts }))).toEqual([])
    expect(judge(lines, found({ commits: swapped, texts, headTexts }))).toEqual([])
  })

  test('finds holes, repeats and lost decisions in a log', () => {
    const rows = ['id-0', 'id-1', 'id-2'].map((id, i) => ({ seq: i + 1, id }))
    const { ops } = opsOf(LINES)
    expect([...checkLog(rows, 'p'), ...checkDecided(ops, rows)]).toEqual([])
    expect(checkLog(rows.toSpliced(1, 1), 'p')).toEqual(['p: seq 3 stands in place 2 of the log'])
    expect(checkLog([...rows, { seq: 4, id: 'id-0' }], 'p')).toEqual([
      'p: id-0 is decided at 1 and 4',
    ])
    expect(checkDecided(ops, rows.slice(0, 2)).join()).toMatch(/op 2 .*not in the log/)
  })

  test('finds records lost, doubled and skipped', () => {
    const produced = { kind: 'produced', topic: 't', records: 4 } as const
    const records = [0, 1].flatMap((seq) => ['a', 'b'].map((key) => ({ key, seq })))
    const piece = (n: number, from: string | null, to: string): FoundCommit =>
      commit(n, { feed: { 't/0': { from, to } } })
    const commits = [piece(0, null, '2'), piece(1, '2', '4')]
    expect(checkFeed({ commits }, produced, records)).toEqual([])
    expect(checkFeed({ commits }, produced, records.slice(1)).join()).toMatch(/4 .*produced, 3/)
    expect(checkFeed({ commits }, produced, [...records, records[0]!]).join()).toMatch(
      /a\/0 is in two places.*1 records are doubled/s,
    )
    const gap = [piece(0, null, '2'), piece(1, '3', '4')]
    expect(checkFeed({ commits: gap }, produced, records).join()).toMatch(/from 3, .*stood at 2/)
  })

  test('finds datums counted twice or not at all, and jobs that did not end well', () => {
    const job = (ran: number, reused: number, more = {}) => ({
      pipeline: 'p',
      id: `j${ran}`,
      state: 'finished',
      counts: { total: ran + reused, ran, reused, failed: 0 },
      datums: ran + reused,
      ...more,
    })
    expect(checkJobs([job(2, 0), job(3, 2)], 5)).toEqual([])
    expect(checkJobs([job(2, 0), job(3, 2)], 6).join()).toMatch(/5 datums for 6 files/)
    expect(checkJobs([job(2, 0), job(4, 1)], 5).join()).toMatch(/6 datums for 5 files/)
    expect(checkJobs([job(5, 0, { datums: 4 })], 5).join()).toMatch(/of 4 datums/)
    expect(checkJobs([job(5, 0, { state: 'running' })], 5).join()).toMatch(/is running/)
  })

  test('finds what a reader of the topic must not see', () => {
    const good = { raw: 9, rawDuplicates: 2, lost: 0, doubled: 0, outOfOrder: 0, partitionMoves: 0 }
    expect(checkDelivery(good, 2)).toEqual([])
    expect(checkDelivery(good, 1)).toHaveLength(1)
    expect(checkDelivery({ ...good, raw: 0 }, 2)).toHaveLength(1)
    for (const bad of ['lost', 'doubled', 'outOfOrder', 'partitionMoves'])
      expect(checkDelivery({ ...good, [bad]: 1 }, 2)).toHaveLength(1)
  })

  test('a journal reads as it was written; only faults that hit something count', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-journal-'))
    try {
      const journal = new Journal(join(folder, 'journal'))
      const struck = { kind: 'struck', fault: 'kill', target: 'api-1', atMs: 1, heldMs: 2 } as const
      const lines: Line[] = [
        ...LINES,
        { ...struck, landed: true },
        { ...struck, landed: false },
        { ...struck, fault: 'stop', landed: true },
      ]
      await Promise.all(lines.map((line) => journal.append(line)))
      await journal.close()
      expect(readJournal(journal.path)).toEqual(lines)
      expect(landed(lines)).toEqual(
        new Map([
          ['kill', 1],
          ['stop', 1],
        ]),
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
