import type { Command } from 'commander'
import { shortId } from '../../model/id.ts'
import { VarveError } from '../../base/errors.ts'
import type { Act } from '../act.ts'
import type { KeepOptions } from '../keep.ts'
import { addKeepOptions, keepOf, keepText } from '../keep.ts'
import { stateText } from '../words.ts'

export function addBranch(program: Command, act: Act): void {
  const group = program.command('branch').description('named lines of commits in a repo')
  group
    .command('list <repo>')
    .description('branches of a repo, by name')
    .action(
      act(async (session, text: string) => {
        const { project, name: repo } = session.name(text)
        const client = await session.client()
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/repos/:repo/branches', {
            params: { project, repo },
            query: { after },
          }),
        )
        const { color } = session.output
        await session.output.list(
          rows,
          [
            { header: 'BRANCH', text: (row) => row.branch },
            { header: 'HEAD', text: (row) => (row.head ? shortId(row.head) : '') },
            { header: 'TIP', text: (row) => (row.tip ? stateText(row.tip.state, color) : '') },
            {
              header: 'MADE FROM',
              text: (row) => row.provenance.map((one) => `${one.repo}@${one.branch}`).join(' '),
            },
          ],
          (row) => `${row.repo}@${row.branch}`,
          `no branches yet; put a file: varve file put ${repo}@master:/name -f FILE`,
        )
      }),
    )
  group
    .command('inspect <repo@branch>')
    .description('one branch')
    .action(
      act(async (session, text: string) => {
        const { project, name: repo, version: branch } = session.versioned(text, 'repo@branch')
        const client = await session.client()
        const params = { project, repo, branch }
        const row = await client.call('GET /projects/:project/repos/:repo/branches/:branch', {
          params,
        })
        await session.output.one(
          row,
          [
            ['branch', `${row.repo}@${row.branch}`],
            ['head', row.head],
            [
              'tip',
              row.tip ? `${row.tip.id} ${stateText(row.tip.state, session.output.color)}` : null,
            ],
            ['filled by', row.pipeline],
            ['made from', row.provenance.map((one) => `${one.repo}@${one.branch}`).join(' ')],
            ['keeps', row.keep && keepText(row.keep)],
          ],
          `${row.repo}@${row.branch}`,
        )
      }),
    )
  for (const [verb, words] of [
    ['create', 'create a branch, at a commit if one is given'],
    ['move', 'move the head of a branch'],
  ] as const) {
    const command = group.command(`${verb} <repo@branch>`).description(words)
    if (verb === 'move')
      command.requiredOption('--head <ref>', 'branch, commit or ancestor: master~2')
    else command.option('--head <ref>', 'branch, commit or ancestor: master~2')
    command.action(
      act(async (session, text: string, options: { head?: string }) => {
        const { project, name: repo, version: branch } = session.versioned(text, 'repo@branch')
        const client = await session.client()
        const row = await client.call('PUT /projects/:project/repos/:repo/branches/:branch', {
          params: { project, repo, branch },
          body: options.head === undefined ? {} : { head: options.head },
        })
        const at = row.head ? ` at ${shortId(row.head)}` : ''
        session.output.note(`${verb}d branch ${row.repo}@${row.branch}${at}`)
      }),
    )
  }
  addKeepOptions(
    group
      .command('keep <repo@branch>')
      .description('which of its commits are kept; others are dropped'),
  )
    .option('--as-repo', 'as its repo says')
    .action(
      act(async (session, text: string, options: KeepOptions & { asRepo?: boolean }) => {
        const { project, name: repo, version: branch } = session.versioned(text, 'repo@branch')
        const keep = keepOf(options) ?? null
        if ((keep === null) !== (options.asRepo === true))
          throw new VarveError(
            'INVALID_OPTION',
            'cannot set this rule: give --last, --younger or both, or --all, or --as-repo',
          )
        const client = await session.client()
        const row = await client.call(
          'PUT /projects/:project/repos/:repo/branches/:branch/retention',
          { params: { project, repo, branch }, body: { keep } },
        )
        if (!session.output.isText) return session.output.one(row, [], `${repo}@${branch}`)
        const what = keep === null ? `what repo ${repo} says` : keepText(keep)
        session.output.note(`branch ${repo}@${branch} keeps ${what}`)
      }),
    )
  group
    .command('delete <repo@branch>')
    .description('delete a branch; its commits stay')
    .option('--force', 'also when others are made from it')
    .action(
      act(async (session, text: string, options: { force?: boolean }) => {
        const { project, name: repo, version: branch } = session.versioned(text, 'repo@branch')
        const client = await session.client()
        await client.call('DELETE /projects/:project/repos/:repo/branches/:branch', {
          params: { project, repo, branch },
          query: { force: options.force },
        })
        session.output.note(`deleted branch ${repo}@${branch}`)
      }),
    )
}
