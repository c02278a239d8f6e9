// A job whose workers are ended in the middle, and what must hold of it all the same. A path that two
// runs put fails a job, so an output that is exactly right counts every datum once.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { forEachLimit } from '../../src/base/async.ts'
import { concat, fromUtf8 } from '../../src/base/bytes.ts'
import type { Client } from '../../src/client/client.ts'
import { readMarker } from '../services/kill-at.ts'
import type { Step, Strike } from '../services/kill-at.ts'

export const CHUNK_DATUMS = 6
const READS = 8
const project = 'default'

export interface KilledJobOptions {
  readonly client: Client
  readonly chunks: number
  /** Where each run of the code notes itself, outside of all that Varve sees. */
  readonly folder: string
}

export class KilledJob {
  readonly #client: Client
  readonly #names: readonly string[]
  readonly #folder: string
  /** Holds the input, to be put by `varve file put in@master:/ -r -f`. */
  readonly files: string

  constructor({ client, chunks, folder }: KilledJobOptions) {
    this.#client = client
    this.#names = Array.from({ length: chunks * CHUNK_DATUMS }, (_, i) => `f${100 + i}`)
    this.#folder = folder
    this.files = join(folder, 'files')
    mkdirSync(this.files)
    for (const name of this.#names) writeFileSync(join(this.files, name), `the line of ${name}\n`)
  }

  /** Which datum ran, a line for each time. */
  #runsFile(pipeline: string): string {
    return join(this.#folder, `${pipeline}.runs`)
  }

  /** The pipeline that does it, of the repo `in`; its runs note themselves. */
  spec(pipeline: string): string {
    const note = `echo "$VARVE_DATUM_ID" >> ${this.#runsFile(pipeline)}`
    return JSON.stringify(specOf(pipeline, [note]))
  }

  /** Waits for its one job. @throws when it has not ended in time, or not well */
  async finished(pipeline: string, limitMs: number): Promise<void> {
    for (const endMs = Date.now() + limitMs; ; await sleep(50)) {
      const { items } = await this.#client.call('GET /projects/:project/jobs', {
        params: { project },
        query: { pipeline },
      })
      const [job] = items
      if (job?.state === 'finished') return
      if (job && job.state !== 'running') throw new Error(`the job of "${pipeline}" ${job.state}`)
      if (Date.now() > endMs)
        throw new Error(`the job of "${pipeline}" is not finished: ${JSON.stringify(job)}`)
    }
  }

  /** Everything is there once. @returns the ids of the datums */
  async check(pipeline: string): Promise<readonly string[]> {
    const client = this.#client
    const total = this.#names.length
    const { items: jobs } = await client.call('GET /projects/:project/jobs', {
      params: { project },
      query: { pipeline },
    })
    const counts = { total, ran: total, reused: 0, failed: 0, recovered: 0, codeChanged: 0 }
    expect(jobs, pipeline).toMatchObject([{ state: 'finished', counts }])
    const listed = await Array.fromAsync(
      client.lines('GET /projects/:project/pipelines/:pipeline/jobs/:job/datums', {
        params: { project, pipeline, job: jobs[0]?.id ?? '' },
      }),
    )
    const ids = listed.map(({ id }) => id)
    expect(listed.map(({ inputs }) => inputs[0]?.path).toSorted(), pipeline).toEqual(this.#names)
    expect(new Set(ids).size).toBe(total)
    for (const datum of listed) expect(datum).toMatchObject({ state: 'success', attempts: 1 })

    const expected = this.#names.map((name) => [name, `THE LINE OF ${name.toUpperCase()}\n`])
    expect(await this.#output(pipeline), pipeline).toEqual(Object.fromEntries(expected))
    return ids
  }

  /** Each datum ran as often as it had to, given where workers were ended. */
  checkRuns(pipeline: string, ids: readonly string[], strikes: readonly Strike[]): void {
    const ran = readFileSync(this.#runsFile(pipeline), 'utf8').split('\n').slice(0, -1)
    const times = (datum: string): number => ran.filter((each) => each === datum).length
    expect(Object.fromEntries(ids.map((id) => [id, times(id)])), pipeline).toEqual(
      Object.fromEntries(ids.map((id) => [id, 1 + strikes.filter((at) => isLost(at, id)).length])),
    )
    expect(new Set(ran)).toEqual(new Set(ids))
  }

  async #output(repo: string): Promise<Record<string, string>> {
    const client = this.#client
    const params = { project, repo, ref: 'master' }
    const output: Record<string, string> = {}
    const names = client.lines('GET /projects/:project/repos/:repo/commits/:ref/ls', { params })
    await forEachLimit(names, READS, async ({ path }) => {
      const { content } = await client.download(
        'GET /projects/:project/repos/:repo/commits/:ref/file',
        { params, query: { path } },
      )
      output[path.replace(/^\//, '')] = fromUtf8(concat(await Array.fromAsync(content)))
    })
    return output
  }
}

/** The pipeline without a note. */
export function specOf(pipeline: string, before: readonly string[] = []) {
  const upper = 'cd "${PFS_ROOT:-/pfs}/in" && for f in *; do tr a-z A-Z < $f > ../out/$f; done'
  return {
    pipeline: { name: pipeline },
    input: { pfs: { repo: 'in', glob: '/*' } },
    transform: { cmd: ['/bin/sh'], stdin: [...before, upper] },
    datumSetSpec: { number: CHUNK_DATUMS },
  }
}

/** Whether a run of the datum went with the worker: its chunk was not said to be done. */
function isLost({ step, datum, datums }: Strike, id: string): boolean {
  const [at, of] = [datums.indexOf(id), datum === undefined ? -1 : datums.indexOf(datum)]
  if (at < 0) return false
  if (step === 'uploaded') return true
  return step === 'run' ? at <= of : step === 'laid-out' && at < of
}

/** Until the process that is to be ended has left its mark. */
export async function marked(marker: string, step: Step, failure: () => string): Promise<void> {
  for (const endMs = Date.now() + 120_000; !readMarker(marker, step).strike; await sleep(50))
    if (Date.now() > endMs) throw new Error(`nothing was ended at "${step}":\n${failure()}`)
}
