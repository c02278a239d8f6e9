// A little history in which every type of public event happens, and fields are null and not.

import type { Fact, Op } from '../../src/model/ops.ts'
import type { VersionEntry } from '../../src/versions/versions.ts'
import { publicEvents } from '../../src/events/public-events.ts'
import type { PublicEvent } from '../../src/events/public-events.ts'
import { Drive, at } from '../versions/drive.ts'

export const PROJECT = 'default'

export function history(): readonly VersionEntry[] {
  const drive = new Drive(PROJECT)
  for (const name of ['numbers', 'feed', 'gone']) drive.yes({ op: 'repo.create', name })
  drive.yes(drive.pipeline('double', ['numbers@master']))
  const { id: first } = drive.yes(drive.put('numbers@master'))
  drive.run('double@master')
  const { id } = drive.yes({ ...drive.put('numbers@master') })
  drive.run('double@master', 'failed')
  drive.yes({ op: 'commit.open', branch: at('numbers@draft'), note: null })
  const [draft] = drive.all('numbers@draft')
  if (draft) drive.yes({ op: 'commit.abandon', commit: keyOf(draft) })
  drive.yes({ op: 'branch.put', branch: at('numbers@copy'), head: id })
  drive.yes({ op: 'branch.put', branch: at('numbers@copy'), head: first })
  drive.yes({ op: 'branch.delete', branch: at('numbers@copy'), force: false })
  drive.yes({ op: 'pipeline.stop', name: 'double' })
  drive.yes({ op: 'pipeline.start', name: 'double' })
  drive.yes({ op: 'spout.put', spout: { name: 's', ...at('feed@master'), spec: {} } })
  drive.yes({
    ...drive.put('feed@master'),
    feed: { spout: 's', epoch: 0, ranges: { 'größe/0': { from: null, to: '10' } } },
  })
  drive.yes({ op: 'spout.set', name: 's', state: 'paused', cause: 'the topic was made again' })
  drive.yes({ op: 'spout.delete', name: 's' })
  drive.yes({ op: 'egress.put', egress: { name: 'e', ...at('numbers@master'), spec: {} } })
  drive.yes(delivered(id))
  drive.yes({ op: 'egress.set', name: 'e', state: 'paused', cause: 'the disk is full' })
  drive.yes({ op: 'egress.delete', name: 'e' })
  drive.yes({ op: 'pipeline.delete', name: 'double' })
  drive.yes({ op: 'commit.drop', commits: [{ ...at('numbers@master'), id: first }] })
  drive.yes({ op: 'repo.delete', name: 'gone', force: false })
  return drive.entries
}

export function events(entries: readonly VersionEntry[]): PublicEvent[] {
  return entries.flatMap((entry) => publicEvents(PROJECT, entry))
}

function delivered(commit: VersionEntry['id']): Op {
  return {
    op: 'egress.delivered',
    name: 'e',
    epoch: 0,
    from: null,
    to: { commit, records: 7, done: true, coordinates: { path: '/x', lengthBytes: 12 } },
    records: 7,
    coordinates: { path: '/x', lengthBytes: 12 },
  }
}

function keyOf({ repo, branch, id }: Extract<Fact, { commit: unknown }>['commit']) {
  return { repo, branch, id }
}
