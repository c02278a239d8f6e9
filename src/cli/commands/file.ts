import type { Command } from 'commander'
import type { FileView } from '../../api/files.ts'
import { VarveError } from '../../base/errors.ts'
import type { Act } from '../act.ts'
import { count, whole } from '../number-option.ts'
import type { Session } from '../session.ts'
import { bytesText, countText } from '../words.ts'
import { diff } from './file-diff.ts'
import { get } from './file-get.ts'
import { put } from './file-put.ts'
import { said, target } from './file-target.ts'

export function addFile(program: Command, act: Act): void {
  const group = program.command('file').description('files of a commit')
  group
    .command('put <repo[@branch][:/path]>')
    .description('write a file, or with -r a directory, in one commit')
    .requiredOption('-f, --file <file>', 'what to write; "-" is standard input')
    .option('-r, --recursive', 'write everything below a directory')
    .option('--append', 'add to the end of what is there')
    .option('--offset <bytes>', 'patch what is there: insert from this byte on', whole)
    .option('--delete <bytes>', 'with --offset: so many bytes give way', whole)
    .option('--no-resume', 'send all of it, also what an earlier run has sent already')
    .option('-m, --message <text>', 'what the commit is about')
    .action(act(put))
  group
    .command('get <repo@ref:/path>')
    .description('read a file, or with -r a directory; repeated, it goes on where it broke off')
    .option('--to <file>', 'where it goes; default: standard output, with -r the directory "."')
    .option('-r, --recursive', 'read everything below a directory')
    .option('--offset <bytes>', 'from this byte on', whole)
    .option('--length <bytes>', 'at most so many bytes', whole)
    .action(act(get))
  group
    .command('ls <repo[@ref][:/path]>')
    .description('what is in a directory')
    .option('--limit <n>', 'at most so many', count)
    .action(
      act(async (session, text: string, options: { limit?: number }) => {
        const { params, path } = target(session, text)
        const client = await session.client()
        const query = { path, limit: options.limit }
        const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/ls', {
          params,
          query,
        })
        await listFiles(session, rows, `nothing in ${text}`)
      }),
    )
  group
    .command('glob <repo[@ref][:/pattern]> [pattern]')
    .description('files and directories that match: "events@master:/**/*.json"')
    .option('--limit <n>', 'at most so many', count)
    .action(
      act(async (session, text: string, given: string | undefined, options: { limit?: number }) => {
        const { params, path } = target(session, text)
        const pattern = given ?? `/${path ?? '**'}`
        const client = await session.client()
        const query = { pattern, limit: options.limit }
        const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/glob', {
          params,
          query,
        })
        await listFiles(session, rows, `nothing matches ${pattern}`)
      }),
    )
  group
    .command('diff <repo[@ref][:/path]> [repo[@ref][:/path]]')
    .description('what a commit changed; with two, what differs from the first to the second')
    .option('--stat', 'summed up by directory, the whole last')
    .option(
      '--depth <n>',
      'with --stat: levels of directories, default 1; 0: the whole alone',
      whole,
    )
    .option('--limit <n>', 'at most so many', count)
    .action(act(diff))
  group
    .command('rm <repo[@branch]:/path>')
    .description('delete a file, or everything below a directory')
    .option('-m, --message <text>', 'what the commit is about')
    .action(
      act(async (session, text: string, options: { message?: string }) => {
        const { params, path } = target(session, text)
        if (path === undefined || path === '')
          throw new VarveError('INVALID_PATH', `cannot delete "${text}": name a path`)
        const client = await session.client()
        const result = await client.call(
          'DELETE /projects/:project/repos/:repo/branches/:branch/file',
          {
            params: { project: params.project, repo: params.repo, branch: params.ref },
            query: { path, message: options.message },
          },
        )
        await said(session, result, `deleted /${path}`)
      }),
    )
}

async function listFiles(
  session: Session,
  rows: AsyncIterable<FileView>,
  empty: string,
): Promise<void> {
  const shown = (row: FileView): string => `/${row.path}${row.kind === 'dir' ? '/' : ''}`
  await session.output.list(
    rows,
    [
      { header: 'PATH', text: shown },
      { header: 'SIZE', text: (row) => bytesText(row.bytes), right: true },
      {
        header: 'FILES',
        text: (row) => (row.kind === 'dir' ? countText(row.files) : ''),
        right: true,
      },
      { header: 'DIGEST', text: (row) => row.digest, wide: true },
    ],
    shown,
    empty,
  )
}
