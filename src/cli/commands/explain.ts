import type { Command } from 'commander'
import type { Explanation } from '../../api/explain.ts'
import type { Client } from '../../client/client.ts'
import { VarveError } from '../../base/errors.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { versionOf } from '../session.ts'
import { clean } from '../table.ts'

/** The tree that reads from result to source, one short line each. */
export function* explanationLines(found: Explanation, indent = ''): Generator<string> {
  const { commit, datum, job, code, brought, feed } = found
  yield `${indent}${commit.repo}@${commit.branch}=${shortId(commit.id)}:/${clean(found.path)}`
  const inner = `${indent}  `
  if (datum) {
    const ran = datum.job === commit.id ? '' : `, by job ${shortId(datum.job)}`
    yield `${inner}← datum ${shortId(datum.id)}, ${datum.why}${ran}`
  }
  if (code) {
    const version = `${job?.pipeline ?? commit.repo} version ${code.pipelineVersion}`
    yield `${inner}← code ${shortId(code.key)} of ${version}: ${clean(code.cmd.join(' '))}`
  }
  for (const input of found.inputs) {
    const lines = explanationLines(input, `${inner}  `)
    const first = lines.next().value
    yield `${inner}← ${String(first).trimStart()}`
    yield* lines
  }
  if (datum || job) return
  const where = brought && `${brought.repo}@${brought.branch}=${shortId(brought.id)}`
  if (!where) yield `${inner}← a commit further back than was looked`
  else yield `${inner}← ${feed ? 'brought by' : 'put by hand in'} commit ${where}`
  for (const [part, { from, to }] of Object.entries(feed ?? {}))
    yield `${inner}  ← ${clean(part)} [${from === null ? 'start' : shown(from)}, ${shown(to)})`
}

/** A position without the identity of its source, which stands behind "@". */
const shown = (position: string): string => clean(position.split('@', 1)[0] ?? position)

/** Without a path: the first file the commit brought. */
async function firstChanged(
  client: Client,
  params: { readonly project: string; readonly repo: string; readonly ref: string },
): Promise<string | undefined> {
  const route = 'GET /projects/:project/repos/:repo/commits/:ref/diff'
  for await (const line of client.lines(route, { params })) if (line.new) return line.path
  return undefined
}

export function addExplain(program: Command, act: Act): void {
  program
    .command('explain <repo[@ref][:/path]>')
    .description('where a file came from: datum, code, inputs, and so back to the feed')
    .action(
      act(async (session, text: string) => {
        const ref = session.ref(text)
        const client = await session.client()
        const params = { project: ref.project, repo: ref.repo, ref: versionOf(ref) }
        const path = ref.path || (await firstChanged(client, params))
        if (!path)
          throw new VarveError(
            'INVALID_REF',
            `cannot explain "${text}": name a file, repo@ref:/path`,
          )
        const found = await client.call('GET /projects/:project/repos/:repo/commits/:ref/explain', {
          params,
          query: { path },
        })
        if (!session.output.isText) return session.output.one(found, [], found.path)
        for (const line of explanationLines(found)) await session.output.line(line)
      }),
    )
}
