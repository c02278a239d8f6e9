import type { Command } from 'commander'
import type { UsageView } from '../../api/usage.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { versionOf } from '../session.ts'
import type { Column } from '../table.ts'
import { bytesText, countText } from '../words.ts'

export function addDu(program: Command, act: Act): void {
  program
    .command('du [ref]')
    .description(
      'bytes stored by repo; of a repo by branch; of repo@branch by commit; of one commit',
    )
    .addHelpText(
      'after',
      '\nSIZE is what readers see. STORED is what lies in the store for it, compressed, each piece once:' +
        '\nUNIQUE of it is freed if it alone is dropped, SHARED is used by others listed, too.',
    )
    .action(
      act(async (session, text: string | undefined) => {
        const client = await session.client()
        const { signal } = session
        const { project } = session
        const ref = text === undefined ? undefined : session.ref(text)
        const rows =
          ref === undefined
            ? client.lines('GET /projects/:project/usage', { params: { project }, signal })
            : client.lines('GET /projects/:project/repos/:repo/usage', {
                params: { project: ref.project, repo: ref.repo },
                query: { ref: ref.version === undefined ? undefined : versionOf(ref) },
                signal,
              })
        await session.output.list(rows, columns(ref?.version !== undefined), nameOf)
      }),
    )
}

function columns(isByCommit: boolean): Column<UsageView>[] {
  const size = (header: string, of: (row: UsageView) => number): Column<UsageView> => ({
    header,
    text: (row) => bytesText(of(row)),
    right: true,
  })
  return [
    { header: 'NAME', text: (row) => shortNameOf(row, isByCommit) },
    { header: 'COMMITS', text: (row) => countText(row.commits), right: true },
    { header: 'FILES', text: (row) => countText(row.files), right: true },
    size('SIZE', (row) => row.bytes),
    size('STORED', (row) => row.storedBytes),
    size('UNIQUE', (row) => row.uniqueBytes),
    size('SHARED', (row) => row.sharedBytes),
  ]
}

function shortNameOf(row: UsageView, isByCommit: boolean): string {
  return isByCommit && row.commit !== null ? shortId(row.commit) : nameOf(row)
}

function nameOf({ repo, branch, commit }: UsageView): string {
  if (repo === null) return 'all'
  if (branch === null) return repo
  return commit === null ? `${repo}@${branch}` : `${repo}@${branch}=${commit}`
}
