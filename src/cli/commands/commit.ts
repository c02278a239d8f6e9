import type { Command } from 'commander'
import type { CommitDetail, CommitView } from '../../api/commits.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { versionOf } from '../session.ts'
import type { Session } from '../session.ts'
import type { Column } from '../table.ts'
import { waitUntil } from '../wait.ts'
import { ageText, bytesText, countText, durationText, many, stateText } from '../words.ts'

const refText = (row: { repo: string; branch: string; id: string }): string =>
  `${row.repo}@${row.branch}=${row.id}`

function columns(session: Session): Column<CommitView>[] {
  const { color } = session.output
  return [
    { header: 'ID', text: (row) => shortId(row.id) },
    { header: 'BRANCH', text: (row) => row.branch },
    {
      header: 'STATE',
      text: (row) => stateText(row.droppedAtMs === null ? row.state : 'dropped', color),
    },
    {
      header: 'FILES',
      text: (row) => (row.files === null ? '' : countText(row.files)),
      right: true,
    },
    {
      header: 'SIZE',
      text: (row) => (row.bytes === null ? '' : bytesText(row.bytes)),
      right: true,
    },
    { header: 'AGE', text: (row) => ageText(row.openedAtMs, session.world.nowMs()) },
    { header: 'FROM', text: (row) => row.feed?.spout ?? (row.origin === 'auto' ? 'job' : 'you') },
    { header: 'MESSAGE', text: (row) => row.message?.split('\n')[0] ?? row.cause?.text ?? '' },
    { header: 'FULL ID', text: (row) => row.id, wide: true },
  ]
}

async function show(session: Session, row: CommitDetail): Promise<void> {
  await session.output.one(
    row,
    [
      ['commit', `${row.repo}@${row.branch}=${row.id}`],
      ['state', stateText(row.state, session.output.color)],
      ['cause', row.cause && row.cause.text],
      ['message', row.message],
      ['parent', row.parent],
      ['files', row.files === null ? null : countText(row.files)],
      ['size', row.bytes === null ? null : bytesText(row.bytes)],
      ['made from', row.provenance.map(refText).join('\n')],
      [
        'feed',
        row.feed &&
          Object.entries(row.feed.ranges)
            .map(([part, { from, to }]) => `${row.feed?.spout} ${part} [${from ?? 'start'}, ${to})`)
            .join('\n'),
      ],
      ['made from it', row.subvenance.map(refText).join('\n')],
      ['opened', ageText(row.openedAtMs, session.world.nowMs())],
      [
        'dropped',
        row.droppedAtMs === null ? null : ageText(row.droppedAtMs, session.world.nowMs()),
      ],
      ['took', row.endedAtMs === null ? null : durationText(row.endedAtMs - row.openedAtMs)],
    ],
    refText(row),
  )
}

export function addCommit(program: Command, act: Act): void {
  const group = program.command('commit').description('immutable versions of a branch')
  group
    .command('list <repo[@branch]>')
    .description('commits, newest first')
    .option('--limit <n>', 'at most so many', Number, 20)
    .action(
      act(async (session, text: string, options: { limit: number }) => {
        const { project, repo, version } = session.ref(text)
        const client = await session.client()
        const rows = client.pages(
          (after) =>
            client.call('GET /projects/:project/repos/:repo/commits', {
              params: { project, repo },
              query: { branch: version, after, limit: Math.min(options.limit, 1000) },
            }),
          options.limit,
        )
        await session.output.list(rows, columns(session), refText, `no commits yet in ${repo}`)
      }),
    )
  group
    .command('inspect <ref>')
    .description('one commit: what it holds and where it came from')
    .action(
      act(async (session, text: string) => {
        const ref = session.ref(text)
        const client = await session.client()
        const params = { project: ref.project, repo: ref.repo, ref: versionOf(ref) }
        const row = await client.call('GET /projects/:project/repos/:repo/commits/:ref', { params })
        await show(session, row)
      }),
    )
  group
    .command('set <id>')
    .description('all commits of one id: what one change caused, across repos')
    .action(
      act(async (session, id: string) => {
        const client = await session.client()
        const params = { project: session.project, id }
        const { items } = await client.call('GET /projects/:project/sets/:id', { params })
        const shown = [{ header: 'REPO', text: (row: CommitView) => row.repo }, ...columns(session)]
        await session.output.list(items, shown, refText)
      }),
    )
  group
    .command('start <repo@branch>')
    .description('open a commit: puts to the branch go into it until it is finished')
    .option('-m, --message <text>', 'what it is about')
    .action(
      act(async (session, text: string, options: { message?: string }) => {
        const ref = session.ref(text)
        const client = await session.client()
        const row = await client.call(
          'POST /projects/:project/repos/:repo/branches/:branch/commits',
          {
            params: { project: ref.project, repo: ref.repo, branch: versionOf(ref) },
            body: options.message === undefined ? {} : { message: options.message },
          },
        )
        if (!session.output.isText) return session.output.one(row, [], refText(row))
        await session.output.line(row.id)
      }),
    )
  group
    .command('finish <ref>')
    .description('finish an open commit; a branch means the open commit on it')
    .action(
      act(async (session, text: string) => {
        const ref = session.ref(text)
        const client = await session.client()
        const params = { project: ref.project, repo: ref.repo, ref: versionOf(ref) }
        const row = await client.call('POST /projects/:project/repos/:repo/commits/:ref/finish', {
          params,
        })
        if (!session.output.isText) return session.output.one(row, [], refText(row))
        session.output.note(
          `finished ${row.repo}@${row.branch} ${shortId(row.id)}: ${countText(row.files ?? 0)} files, ${bytesText(row.bytes ?? 0)}`,
        )
      }),
    )
  group
    .command('delete <ref>')
    .description('give up an open commit with what was put into it; a branch means the open one')
    .action(
      act(async (session, text: string) => {
        const ref = session.ref(text)
        const client = await session.client()
        const params = { project: ref.project, repo: ref.repo, ref: versionOf(ref) }
        const row = await client.call('DELETE /projects/:project/repos/:repo/commits/:ref', {
          params,
        })
        if (!session.output.isText) return session.output.one(row, [], refText(row))
        session.output.note(`deleted the open commit ${row.repo}@${row.branch} ${shortId(row.id)}`)
      }),
    )
  group
    .command('drop <ref...>')
    .description('let the files of commits go for ever; their records stay')
    .option('--dry-run', 'say what would be dropped, drop nothing')
    .action(
      act(async (session, texts: string[], options: { dryRun?: boolean }) => {
        const client = await session.client()
        const rows: CommitView[] = []
        for (const text of texts) {
          const ref = session.ref(text)
          const row = await client.call('POST /projects/:project/repos/:repo/commits/:ref/drop', {
            params: { project: ref.project, repo: ref.repo, ref: versionOf(ref) },
            query: { dryRun: options.dryRun },
          })
          rows.push(row)
          if (!session.output.isText) continue
          const held = `${many(row.files ?? 0, 'file')}, ${bytesText(row.bytes ?? 0)}`
          const done = options.dryRun ? 'would drop' : 'dropped'
          session.output.note(`${done} ${row.repo}@${row.branch} ${shortId(row.id)}: ${held}`)
        }
        if (!session.output.isText) await session.output.list(rows, columns(session), refText)
      }),
    )
  group
    .command('wait <ref>')
    .description('wait until a commit has ended; a branch means its newest')
    .option('--timeout <duration>', 'give up after so long (exit code 124): 30s, 5m')
    .action(
      act(async (session, text: string, options: { timeout?: string }) => {
        const ref = session.ref(text)
        const client = await session.client()
        const params = { project: ref.project, repo: ref.repo, ref: versionOf(ref) }
        const row = await waitUntil<CommitView>(session, options.timeout, {
          ask: async (timeoutMs, now) => {
            const known = now ? { ...params, ref: `${now.branch}=${now.id}` } : params
            return client.call('GET /projects/:project/repos/:repo/commits/:ref/wait', {
              params: known,
              query: { timeoutMs },
              signal: session.signal,
            })
          },
          // Code without end is good as it runs.
          ended: ({ endedAtMs, standing, state }) =>
            endedAtMs !== null || (standing && state === 'running'),
          good: ({ state }) => state === 'finished' || state === 'running',
          words: (one) =>
            `${one.repo}@${one.branch} ${shortId(one.id)}: ${stateText(one.state, false)}`,
          why: ({ cause }) => cause?.text,
        })
        if (!session.output.isText) return session.output.one(row, [], refText(row))
        session.output.note(
          `${row.repo}@${row.branch} ${shortId(row.id)}: ${stateText(row.state, session.output.color)}`,
        )
      }),
    )
}
