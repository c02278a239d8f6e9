import { expect, test } from 'vitest'
import type { Op } from '../../src/model/ops.ts'
import type { Branch } from '../../src/model/entities.ts'
import { Drive, at, idOf, openedIn, tree } from './drive.ts'

/** The whole job of the commit whose turn it is, if there is one. */
function oneJob(drive: Drive, name: string): Op[] {
  const [front] = drive.open(name)
  return front ? [drive.startJob(front), drive.finishJob(front, 'finished')] : []
}

function chain(): Drive {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' })
  drive.yes(drive.pipeline('b', ['a']), drive.pipeline('c', ['b']))
  return drive
}

test('a commit opens one commit of its set on every branch below, in its own entry', () => {
  const drive = chain()
  const entry = drive.yes(drive.put('a'))
  expect(openedIn(entry).map(({ repo, id, state }) => [repo, id, state])).toEqual([
    ['b', entry.id, 'queued'],
    ['c', entry.id, 'queued'],
  ])
  expect(drive.branch('c').tip?.sources).toEqual({ 'a@master': entry.id, 'b@master': entry.id })
  expect(openedIn(drive.run('b'))).toEqual([])
  drive.run('c')
  expect(drive.branch('c').head?.id).toBe(entry.id)
})

test('of a diamond with a failing side the join is unrunnable, and a later commit runs', () => {
  const drive = chain()
  drive.yes(drive.pipeline('d', ['a', 'c']))
  drive.yes(drive.put('a'))
  drive.run('b', 'failed')
  expect(drive.states('c')).toEqual(['unrunnable'])
  expect(drive.states('d')).toEqual(['unrunnable'])
  expect(drive.all('d')[0]?.cause?.commit).toMatchObject({ repo: 'b' })
  drive.yes(drive.put('a'))
  for (const name of ['b', 'c', 'd']) drive.run(name)
  expect(drive.branch('d').head?.id).toBe(drive.branch('a').head?.id)
})

test('a branch whose inputs would disagree on a version opens nothing until they agree', () => {
  const drive = chain()
  drive.yes(drive.pipeline('d', ['a', 'c']))
  drive.yes(drive.put('a'))
  drive.yes({ op: 'pipeline.stop', name: 'b' })
  expect(openedIn(drive.yes(drive.put('a')))).toEqual([])
  const start = drive.yes({ op: 'pipeline.start', name: 'b' })
  expect(openedIn(start).map(({ repo }) => repo)).toEqual(['b', 'c', 'd'])
  expect(drive.branch('d').tip?.sources['a@master']).toBe(drive.branch('a').head?.id)
})

test('a plain branch made from others keeps its files and says how much they are', () => {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' }, { op: 'repo.create', name: 'j' })
  const { id } = drive.yes(drive.put('j'))
  drive.yes({ op: 'branch.put', branch: at('j@x'), head: id, provenance: [] })
  drive.yes({ op: 'branch.put', branch: at('j@y'), provenance: [at('a')] })
  drive.yes({ op: 'branch.put', branch: at('j@x'), provenance: [at('a')] })
  for (let i = 0; i < 2; i++) drive.yes(drive.put('a'))
  const held = drive.branch('j').head
  expect(drive.branch('j@x').head).toMatchObject({
    root: held?.root,
    stats: { files: 1, bytes: 1 },
  })
  expect(drive.all('j@x').map(({ stats }) => stats)).toEqual([
    held?.stats,
    held?.stats,
    held?.stats,
  ])
  expect(drive.all('j@y').map(({ stats }) => stats?.files)).toEqual([0, 0])
})

test('backlog latest: what waits is superseded in turn, what runs goes on', () => {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' })
  drive.yes(drive.pipeline('b', ['a'], { backlog: 'latest' }), drive.pipeline('c', ['b']))
  drive.yes(drive.put('a'))
  const [first] = drive.open('b')
  if (first) drive.yes(drive.startJob(first))
  drive.yes(drive.put('a'))
  drive.yes(drive.put('a'))
  expect(drive.states('b')).toEqual(['running', 'queued', 'queued'])
  expect(drive.all('b')[1]?.cause?.code).toBe('SUPERSEDED')
  if (first) drive.yes(drive.finishJob(first, 'finished'))
  expect(drive.states('b')).toEqual(['finished', 'superseded', 'queued'])
  drive.run('c')
  expect(drive.states('c')).toEqual(['finished', 'superseded', 'queued'])
})

test('backlog latest: a feed that never rests cannot put a job off for ever', () => {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' })
  drive.yes(drive.pipeline('x', ['a']), drive.pipeline('y', ['x']))
  const latest = { backlog: 'latest' } as const
  drive.yes(drive.pipeline('near', ['a'], latest), drive.pipeline('far', ['y'], latest))
  for (let round = 0; round < 40; round++) {
    // What a scheduler saw is decided after the next commit came; that of `far` has its input later.
    const seen = ['near', 'far'].flatMap((name) => drive.open(name)[0] ?? [])
    if (round < 30) drive.yes(drive.put('a'))
    if (drive.open('y').length > 1 || round > 29) drive.propose(oneJob(drive, 'y'))
    drive.propose(oneJob(drive, 'x'))
    for (const front of seen)
      drive.propose([
        front.state === 'running' ? drive.finishJob(front, 'finished') : drive.startJob(front),
      ])
  }
  for (const name of ['near', 'far']) {
    const finished = drive.states(name).filter((state) => state === 'finished')
    expect(finished.length).toBeGreaterThan(5)
    expect(finished.length).toBeLessThan(20)
    expect(drive.branch(name).head?.id).toBe(drive.branch('a').head?.id)
  }
})

test('commits of one set finished apart: the second opens under the id of its own entry', () => {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' }, { op: 'repo.create', name: 'b' })
  drive.yes(drive.pipeline('c', ['a', 'b']))
  const open = drive.yes(
    { op: 'commit.open', branch: at('a'), note: null },
    { op: 'commit.open', branch: at('b'), note: null },
  )
  const finish = (name: string): Op => ({
    op: 'commit.finish',
    commit: { ...at(name), id: open.id },
    change: drive.change(),
  })
  drive.yes(drive.put('b'))
  const first = drive.yes(finish('a'))
  expect(openedIn(first).map(({ id }) => id)).toEqual([open.id])
  const second = drive.yes(finish('b'))
  expect(openedIn(second).map(({ id }) => id)).toEqual([second.id])
  expect(drive.no(finish('b'))).toBe('NOT_OPEN')
})

test('what was prepared on another tree is prepared again; a wrong parent is refused', () => {
  const drive = chain()
  const put = drive.put('a')
  const prepared = drive.prepare([put])
  drive.yes(drive.put('a'))
  expect(drive.propose([put], prepared)).toEqual({ again: true })
  expect(drive.no({ ...put, ifParent: null })).toBe('HEAD_MOVED')
  expect(drive.no(drive.put('b'))).toBe('OUTPUT_BRANCH')
  expect(drive.no(drive.put('ab'))).toBe('NOT_FOUND_REPO')
  drive.yes(drive.put('a@side'))
  expect(drive.branch('a@side').head?.id).toBe(idOf(drive.seq))
})

test('a job: the first start wins, the plan must be the recorded one, a stop keeps it open', () => {
  const drive = chain()
  drive.yes(drive.put('a'))
  drive.yes(drive.put('a'))
  const [first, second] = drive.open('b')
  if (!first || !second) throw new Error('two wait')
  expect(drive.no(drive.startJob(second))).toBe('STALE_STATE')
  drive.yes(drive.startJob(first))
  expect(drive.no(drive.startJob(first))).toBe('STALE_STATE')
  expect(drive.no(drive.finishJob(first, 'stopped'))).toBe('STALE_STATE')
  expect(drive.no({ ...drive.finishJob(first, 'finished'), plan: tree(1) } as Op)).toBe(
    'STALE_STATE',
  )
  drive.yes({ op: 'pipeline.stop', name: 'b' })
  expect(drive.states('b')).toEqual(['running', 'queued'])
  drive.yes(drive.finishJob(first, 'stopped'))
  expect(drive.states('b')).toEqual(['stopped', 'queued'])
  expect(drive.no(drive.startJob(second))).toBe('STALE_STATE')
  drive.yes({ op: 'pipeline.start', name: 'b' })
  expect(drive.states('b')).toEqual(['stopped', 'queued', 'queued'])
  drive.yes(drive.startJob(second))
})

test('a pipeline without inputs opens commits when it is put and started, and at nothing else', () => {
  const drive = chain()
  const feed = drive.pipeline('feed', [], { outputBranch: 'runs', backlog: 'latest' })
  expect(openedIn(drive.yes(feed, { op: 'branch.put', branch: at('feed') }))).toMatchObject([
    { repo: 'feed', branch: 'runs', provenance: [], sources: {}, parent: null },
  ])
  drive.yes(drive.pipeline('reads', ['feed']))
  const [first] = drive.open('feed@runs')
  if (!first) throw new Error('one waits')
  drive.yes({ ...drive.startJob(first), standing: true } as Op)
  // Its code commits to another branch of its repo, as anybody may; to its own nobody does.
  expect(openedIn(drive.yes(drive.put('feed'))).map(({ repo }) => repo)).toEqual(['reads'])
  drive.yes(drive.put('feed@side'))
  drive.yes(drive.put('a'))
  for (const op of [
    drive.put('feed@runs'),
    { op: 'commit.open', branch: at('feed@runs'), note: null } as const,
    { op: 'branch.put', branch: at('feed@runs'), provenance: [at('a')] } as const,
    { op: 'spout.put', spout: { name: 's', ...at('feed@runs'), spec: {} } } as const,
  ])
    expect(drive.no(op)).toBe('OUTPUT_BRANCH')
  expect(drive.states('feed@runs')).toEqual(['running'])
  expect(drive.yes({ op: 'job.stop', commit: { ...at('feed@runs'), id: first.id } })).toMatchObject(
    {
      decision: { yes: [{ f: 'job.stopping', job: { standing: true } }] },
    },
  )
  drive.yes(drive.finishJob(first, 'stopped'))
  expect(drive.states('feed@runs')).toEqual(['stopped'])
  drive.yes({ op: 'pipeline.stop', name: 'feed' })
  expect(openedIn(drive.yes({ op: 'pipeline.start', name: 'feed' }))).toHaveLength(1)
  drive.yes({ op: 'pipeline.delete', name: 'feed' })
  expect(drive.open('feed@runs')).toEqual([])
  expect(drive.states('feed').every((state) => state === 'finished')).toBe(true)
  drive.yes(drive.put('feed@runs'))
})

test('behind a run without end the first that can follow keeps its place', () => {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' })
  drive.yes(drive.pipeline('b', ['a']), drive.pipeline('served', ['b'], { backlog: 'latest' }))
  drive.yes(drive.put('a'))
  drive.run('b')
  const [first] = drive.open('served')
  if (!first) throw new Error('one waits')
  drive.yes({ ...drive.startJob(first), standing: true } as Op)
  for (let i = 0; i < 3; i++) drive.yes(drive.put('a'))
  const causes = (): unknown[] => drive.open('served').map(({ cause }) => cause?.code)
  expect(causes()).toEqual([undefined, undefined, 'SUPERSEDED', undefined])
  // It cannot follow any more; of those behind it the next does, and what comes later waits for that.
  drive.run('b', 'failed')
  expect(causes()).toEqual([undefined, 'INPUT_FAILED', 'SUPERSEDED', undefined])
  for (let i = 0; i < 2; i++) drive.yes(drive.put('a'))
  expect(causes().slice(3)).toEqual([undefined, 'SUPERSEDED', undefined])
  expect(drive.states('served')[0]).toBe('running')
  drive.yes({ op: 'job.stop', commit: { ...at('served'), id: first.id } })
  drive.yes(drive.finishJob(first, 'stopped'))
  expect(drive.states('served')).toEqual([
    'stopped',
    'unrunnable',
    'superseded',
    'queued',
    'queued',
    'queued',
  ])
})

test('a pipeline that comes to have inputs, or none, fills another branch and leaves the one before', () => {
  const drive = chain()
  const feed = drive.pipeline('feed', [], { outputBranch: 'runs' })
  drive.yes(drive.put('a'))
  drive.yes(feed)
  drive.yes(drive.pipeline('feed', ['a']))
  expect(drive.states('feed@runs')).toEqual(['stopped'])
  expect(drive.states('feed')).toEqual(['queued'])
  expect(drive.no(drive.put('feed'))).toBe('OUTPUT_BRANCH')
  drive.yes(feed, { op: 'branch.put', branch: at('feed') })
  expect(drive.states('feed')).toEqual(['stopped'])
  expect(openedIn(drive.yes(drive.put('a'))).map(({ repo }) => repo)).toEqual(['b', 'c'])
  drive.yes(drive.put('feed'))
})

test('a spout goes on exactly where its last commit ended', () => {
  const drive = new Drive()
  drive.yes({ op: 'spout.put', spout: { name: 's', ...at('feed'), spec: {} } })
  const put = (from: string | null, to: string, epoch = 0): Op => ({
    ...drive.put('feed'),
    feed: { spout: 's', epoch, ranges: { 't/0': { from, to } } },
  })
  drive.yes(put(null, '10'))
  expect(drive.no(put(null, '10'))).toBe('STALE_SOURCE')
  expect(drive.no(put('9', '20'))).toBe('STALE_SOURCE')
  expect(drive.no(put('10', '20', 1))).toBe('STALE_SOURCE')
  drive.yes(put('10', '20'))
  expect(drive.state.spouts.get('s')?.positions).toEqual({ 't/0': '20' })
  drive.yes({ op: 'spout.set', name: 's', state: 'paused', cause: null })
  expect(drive.no(put('20', '30'))).toBe('STALE_SOURCE')
})

test('an egress records only what continues what is recorded', () => {
  const drive = chain()
  drive.yes({ op: 'egress.put', egress: { name: 'e', ...at('a'), spec: {} } })
  const { id } = drive.yes(drive.put('a'))
  const deliver = (from: number | null, to: number, done = false): Op => ({
    op: 'egress.delivered',
    name: 'e',
    epoch: 0,
    from: from === null ? null : { commit: id, records: from, done: false },
    to: { commit: id, records: to, done },
    records: to - (from ?? 0),
    coordinates: {},
  })
  drive.yes(deliver(null, 5))
  expect(drive.no(deliver(null, 5))).toBe('STALE_STATE')
  drive.yes(deliver(5, 8, true))
  expect(drive.state.egresses.get('e')).toMatchObject({ base: id, deliveredRecords: 8 })
})

test('a moved branch: its epoch rises, what is below follows, its lineage names what is there', () => {
  const drive = chain()
  const first = drive.yes(drive.put('a'))
  drive.yes(drive.put('a'))
  const moved = drive.yes({ op: 'branch.put', branch: at('a'), head: first.id })
  const branch: Branch = drive.branch('a')
  expect([branch.head?.id, branch.epoch]).toEqual([first.id, 1])
  expect(openedIn(moved).map(({ id, sources }) => [id, sources['a@master']])).toEqual([
    [moved.id, first.id],
    [moved.id, first.id],
  ])
  drive.yes({ op: 'branch.put', branch: at('a@side'), head: first.id })
  expect(drive.commits.get(`a@side=${first.id}`)?.root).toEqual(branch.head?.root)
  expect(drive.no({ op: 'branch.put', branch: at('b'), head: first.id })).toBe('OUTPUT_BRANCH')
  expect(drive.no({ op: 'branch.put', branch: at('a'), head: idOf(99) })).toBe('NOT_FOUND_COMMIT')
})

test('circles, clashes and what others depend on are refused, and nothing of them stays', () => {
  const drive = chain()
  expect(drive.no(drive.pipeline('b', ['c']))).toBe('CYCLE')
  expect(drive.no(drive.pipeline('b', ['b@x']))).toBe('CYCLE')
  expect(drive.no(drive.pipeline('a', ['b']))).toBe('ALREADY_EXISTS')
  expect(drive.no({ op: 'repo.delete', name: 'a', force: false })).toBe('HAS_CHILDREN')
  expect(drive.no({ op: 'repo.create', name: 'x' }, { op: 'repo.create', name: 'x' })).toBe(
    'ALREADY_EXISTS',
  )
  expect(drive.no(drive.put('a'), drive.put('a'))).toBe('INVALID_OPTION')
  expect(drive.state.repos.has('x')).toBe(false)
})

test('a deleted pipeline ends what it had begun and can be put again over its results', () => {
  const drive = chain()
  drive.yes(drive.put('a'))
  drive.run('b')
  drive.yes(drive.put('a'))
  const [running] = drive.open('b')
  if (running) drive.yes(drive.startJob(running))
  drive.yes({ op: 'pipeline.delete', name: 'b' })
  expect(drive.states('b')).toEqual(['finished', 'stopped'])
  // Its turn has not come, but why it will end is certain.
  expect(drive.all('c').map(({ cause }) => cause?.code)).toEqual([undefined, 'INPUT_FAILED'])
  if (running) expect(drive.no(drive.finishJob(running, 'finished'))).toBe('STALE_STATE')
  drive.yes(drive.pipeline('b', ['a']))
  expect(drive.states('b')).toEqual(['finished', 'stopped', 'queued'])
})

test('a force-deleted repo takes its open work along; what reads it waits for its like', () => {
  const drive = chain()
  drive.yes(drive.put('a'))
  drive.yes({ op: 'repo.delete', name: 'b', force: true })
  expect(drive.states('b')).toEqual(['stopped'])
  expect(drive.states('c')).toEqual(['unrunnable'])
  expect(drive.state.pipelines.has('b')).toBe(false)
  const again = drive.yes(drive.pipeline('b', ['a']))
  expect(openedIn(again).map(({ repo }) => repo)).toEqual(['b', 'c'])
})

test('an open commit given up: it ends stopped, nothing moves, and the branch is free for another', () => {
  const drive = chain()
  const first = drive.yes(drive.put('a'))
  const before = drive.branch('a')
  const open: Op = { op: 'commit.open', branch: at('a'), note: null }
  const { id } = drive.yes(open)
  const key = { ...at('a'), id }
  const abandon: Op = { op: 'commit.abandon', commit: key }
  const finish: Op = { op: 'commit.finish', commit: key, change: drive.change() }
  expect(drive.no(open)).toBe('ALREADY_EXISTS')
  const entry = drive.yes(abandon)
  expect(entry.decision).toMatchObject({
    yes: [{ f: 'commit.failed', commit: { ...key, state: 'stopped', cause: { code: 'STOPPED' } } }],
  })
  expect(drive.branch('a')).toEqual(before)
  expect([drive.no(abandon), drive.no(finish)]).toEqual(['NOT_OPEN', 'NOT_OPEN'])
  // Once finished it stays; what a pipeline fills, and a one-shot commit, never were open.
  const again = drive.yes(open)
  drive.yes({ ...finish, commit: { ...at('a'), id: again.id } })
  for (const commit of [
    { ...at('a'), id: again.id },
    { ...at('a'), id: first.id },
    { ...at('b'), id: first.id },
  ])
    expect(drive.no({ op: 'commit.abandon', commit })).toBe('NOT_OPEN')
})

test('of commits of one set the given up one still holds its branch for that set', () => {
  const drive = new Drive()
  drive.yes({ op: 'repo.create', name: 'a' }, { op: 'repo.create', name: 'b' })
  const open = drive.yes(
    { op: 'commit.open', branch: at('a'), note: null },
    { op: 'commit.open', branch: at('b'), note: null },
  )
  drive.yes({ op: 'commit.abandon', commit: { ...at('b'), id: open.id } })
  drive.yes({ op: 'branch.put', branch: at('b'), provenance: [at('a')] })
  const commit = { ...at('a'), id: open.id }
  const entry = drive.yes({ op: 'commit.finish', commit, change: drive.change() })
  // Under its own id, as `b` has a commit of the set already.
  expect(openedIn(entry).map(({ repo, id }) => [repo, id])).toEqual([['b', entry.id]])
  expect(drive.state.sets.get(open.id)).toBeUndefined()
})
