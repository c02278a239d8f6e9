// One new file among 10,000 datums: from the put to the finished output commit, processes and all,
// beside running the user's command alone. Then the figures for the full first job.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openEmbedded } from '../../src/main/embedded.ts'
import type { Id } from '../../src/model/id.ts'
import { idSource } from '../../src/model/id.ts'
import { parseFilePath } from '../../src/model/path.ts'
import type { Bench } from './bench.ts'
import { median, metric } from './bench.ts'

const ids = idSource(systemClock, systemRandom)
const SCRIPT = 'for f in "${PFS_ROOT:-/pfs}"/in/*; do cp "$f" "${PFS_ROOT:-/pfs}/out/"; done'

export const bench: Bench = {
  name: 'one-of-10000',
  what: 'one new file among many datums, each datum a process of its own',
  async run({ small }) {
    const datums = small ? 1_000 : 10_000
    const folder = mkdtempSync(join(tmpdir(), 'varve-bench-'))
    const varve = await openEmbedded({ data: join(folder, 'data'), port: 0 })
    const put = (names: readonly string[]): Promise<{ id: Id }> =>
      varve.versions.commitFiles(
        'default',
        { repo: 'in', branch: 'master' },
        async (writer) => {
          for (const name of names) await writer.put(parseFilePath(name), utf8(`${name}\n`))
        },
        { id: ids(), principal: 'bench' },
      )
    const ended = async (id: Id): Promise<void> => {
      const abort = new AbortController()
      const key = { repo: 'out', branch: 'master', id }
      for await (const entry of varve.versions.follow('default', 0, abort.signal)) {
        void entry
        const commit = await varve.versions.commit('default', key)
        if (commit?.endedAtMs == null) continue
        abort.abort()
        if (commit.state !== 'finished') throw new Error(`the job ended ${commit.state}`)
        return
      }
    }
    try {
      await varve.versions.propose('default', [{ op: 'repo.create', name: 'in' }], {
        id: ids(),
        principal: 'bench',
      })
      await varve.pipelines.put(
        'default',
        {
          pipeline: { name: 'out' },
          input: { pfs: { repo: 'in', glob: '/*' } },
          transform: { cmd: ['sh'], stdin: [SCRIPT] },
        },
        { id: ids(), principal: 'bench' },
      )
      let start = performance.now()
      await ended((await put(Array.from({ length: datums }, (_, n) => `f${n}`))).id)
      const firstMs = performance.now() - start

      const alone: number[] = []
      const one: number[] = []
      for (let round = 0; round < (small ? 5 : 10); round++) {
        start = performance.now()
        spawnSync('sh', [], { input: `cp /etc/hostname ${folder}/alone` })
        alone.push(performance.now() - start)
        start = performance.now()
        await ended((await put([`new${round}`])).id)
        one.push(performance.now() - start)
        const [job] = await Array.fromAsync(varve.versions.jobs('default', 'out', { limit: 1 }))
        if (job?.counts?.ran !== 1) throw new Error(`${job?.counts?.ran} datums ran instead of 1`)
      }
      const goalMs = 1.5 * median(alone) + 300
      return [
        metric(
          `1 new of ${datums.toLocaleString('en-US')}: put → finished, p50`,
          median(one),
          'ms',
          {
            goal: '≤ 1.5 × the datum + 300 ms',
            met: median(one) <= goalMs,
            peer: { name: 'the command alone', value: median(alone) },
          },
        ),
        metric('first job, datums', (datums / firstMs) * 1000, '/s', {
          goal: '≥ 60/s a core as processes',
          met: (datums / firstMs) * 1000 >= 60,
        }),
      ]
    } finally {
      await varve.close()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
