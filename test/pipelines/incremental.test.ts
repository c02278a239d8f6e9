import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { inlineWorld, spec } from './world.ts'

/** Puts each word of an input file into a file of that name below a folder of that file's own. */
const scatter: Program = {
  version: '1',
  run: ({ list, text, write }) => {
    for (const path of list('in')) {
      const own = path.replaceAll('/', '-')
      for (const word of text(path).split(' '))
        if (word === 'fail') return 1
        else if (word !== '') write(`out/${word}/${own}/x`, `${path} ${word}`)
    }
    return 0
  },
}

const path = fc.constantFrom('a', 'b', 'c', 'd/1', 'd/2', 'e/1')
const text = fc.constantFrom('', 'p', 'q', 'p q', 'fail', null)
const commits = fc.array(fc.dictionary(path, text, { minKeys: 1, maxKeys: 4 }), {
  minLength: 1,
  maxLength: 6,
})

/** Files that are part of some datum. */
const matched: Record<string, RegExp> = { '/*': /./, '/*/*': /\//, '/[ade]*': /^[ade]/, '/': /./ }

test('any sequence of incremental jobs gives the root of one full run', async () => {
  await fc.assert(
    fc.asyncProperty(
      commits,
      fc.constantFrom('/*', '/*/*', '/[ade]*', '/'),
      async (steps, glob) => {
        const { world, scratch } = await inlineWorld({ scatter })
        const more = { input: { pfs: { repo: 'in', glob } }, datumTries: 1 }
        await world.repo('in')
        await world.put(spec('steps', 'in', ['scatter'], more))
        let good = true
        for (const step of steps) {
          const commit = await world.commit('in', step)
          const job = await world.ended('steps', commit.id)
          good = job.state === 'finished'
          const failing = Object.entries(await world.files('in')).some(
            ([file, text]) => text === 'fail' && matched[glob]?.test(file),
          )
          expect(job.state).toBe(failing ? 'failed' : 'finished')
          expect(job.counts).toMatchObject({ total: job.planned.total })
        }
        await world.put(spec('whole', 'in', ['scatter'], { ...more, salt: 'other' }))
        const whole = await world.ended('whole')
        expect(whole.counts).toMatchObject({ ran: whole.counts?.total, reused: 0 })
        expect(whole.state === 'finished').toBe(good)
        if (good) expect(await world.rootOf('steps')).toBe(await world.rootOf('whole'))
        expect(world.troubles).toEqual([])
        await world.close()
        expect(scratch.size).toBe(0)
      },
    ),
    { numRuns: 25 },
  )
}, 180_000)
