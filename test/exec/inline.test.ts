import { InlineRunner } from '../../src/exec/adapters/inline/runner.ts'
import { MemoryScratch } from '../../src/exec/adapters/inline/scratch.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { runnerContract } from '../contract/runner.ts'

const upper: Program = {
  version: '1',
  run: ({ text, write }) => write('out/a', text('in/a').toUpperCase()),
}

runnerContract('inline', () => {
  const scratch = new MemoryScratch()
  const runner = new InlineRunner({
    scratch,
    programs: {
      upper,
      fail: {
        version: 'f',
        run: ({ print }) => {
          print('one')
          print('bad', 'stderr')
          print('two')
          return 7
        },
      },
      hang: {
        version: 'h',
        run: ({ print }) => {
          print('started')
          return new Promise<number>(() => {})
        },
      },
      env: {
        version: 'e',
        run: ({ print, request }) => {
          print(request.env['GREETING'] ?? 'none')
          print(request.env['HOME'] ?? 'none')
        },
      },
    },
  })
  return Promise.resolve({
    runner,
    scratch,
    cmd: { upper: ['upper'], fail: ['fail'], hang: ['hang'], env: ['env'], missing: ['nothing'] },
    edit: () => {
      runner.programs.set('upper', { ...upper, version: '2' })
      return Promise.resolve()
    },
    close: () => runner.close(),
  })
})
