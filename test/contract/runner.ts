// What every Runner promises. Each adapter brings programs that do the same things its own way.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OutputLine, RunRequest, Runner, Transform } from '../../src/exec/runner.ts'
import type { Scratch, ScratchFolder } from '../../src/exec/scratch.ts'
import { concat, fromUtf8, utf8 } from '../../src/base/bytes.ts'

export interface RunnerWorld {
  readonly runner: Runner
  readonly scratch: Scratch
  readonly cmd: {
    /** Copies in/a to out/a in upper case. */
    readonly upper: readonly string[]
    /** Writes "one" and "two" to stdout, "bad" to stderr, ends with 7. */
    readonly fail: readonly string[]
    /** Writes "started", then never ends. */
    readonly hang: readonly string[]
    /** Writes the value of the variable GREETING and of HOME or "none". */
    readonly env: readonly string[]
    readonly missing: readonly string[]
  }
  /** Changes what `upper` is, without changing its command. */
  edit(): Promise<void>
  close(): Promise<void>
}

/** @param identifies false: it is never asked what code is, and says so */
export function runnerContract(
  name: string,
  open: () => Promise<RunnerWorld>,
  identifies = true,
): void {
  describe(`runner: ${name}`, () => {
    let world: RunnerWorld
    beforeAll(async () => {
      world = await open()
    })
    afterAll(() => world.close())

    const request = (cmd: readonly string[], pfs: ScratchFolder): RunRequest => ({
      cmd,
      stdin: undefined,
      env: world.runner.mountsPfs ? {} : { PFS_ROOT: pfs.path },
      cwd: undefined,
      pfs: pfs.path,
      limits: { timeoutMs: undefined },
    })
    const folder = async (): Promise<ScratchFolder> => {
      const made = await world.scratch.folder()
      await made.empty('in')
      await made.empty('out')
      return made
    }
    const never = new AbortController().signal

    test('the code reads its inputs and what it writes is found', async () => {
      const pfs = await folder()
      await pfs.write('in/a', utf8('hello'))
      const exit = await world.runner.run(request(world.cmd.upper, pfs), () => {}, never)
      expect(exit).toEqual({ code: 0, signal: null, timedOut: false })
      const entries = await Array.fromAsync(pfs.entries('out'))
      expect(entries).toMatchObject([{ path: 'a', kind: 'file', sizeBytes: 5 }])
      expect(fromUtf8(concat(await Array.fromAsync(pfs.read('out/a'))))).toBe('HELLO')
      await pfs.close()
    })

    test('lines come in order by stream, and the exit code is kept', async () => {
      const pfs = await folder()
      const lines: OutputLine[] = []
      const exit = await world.runner.run(
        request(world.cmd.fail, pfs),
        (l) => void lines.push(l),
        never,
      )
      expect(exit).toEqual({ code: 7, signal: null, timedOut: false })
      const of = (stream: string): string[] =>
        lines.filter((line) => line.stream === stream).map((line) => line.text)
      expect(of('stdout')).toEqual(['one', 'two'])
      expect(of('stderr')).toEqual(['bad'])
      await pfs.close()
    })

    test('over its time it is killed and says so', async () => {
      const pfs = await folder()
      const timed = { ...request(world.cmd.hang, pfs), limits: { timeoutMs: 300 } }
      const exit = await world.runner.run(timed, () => {}, never)
      expect(exit).toEqual({ code: null, signal: 'SIGKILL', timedOut: true })
      await pfs.close()
    })

    test('when the signal is aborted it is killed', async () => {
      const pfs = await folder()
      const stop = new AbortController()
      const exit = await world.runner.run(
        request(world.cmd.hang, pfs),
        () => stop.abort(),
        stop.signal,
      )
      expect(exit).toEqual({ code: null, signal: 'SIGKILL', timedOut: false })
      await pfs.close()
    })

    test('the code sees what it is given and nothing of ours', async () => {
      const pfs = await folder()
      const lines: string[] = []
      const given = request(world.cmd.env, pfs)
      const env = { ...given.env, GREETING: 'hi there' }
      await world.runner.run({ ...given, env }, ({ text }) => void lines.push(text), never)
      expect(lines).toEqual(['hi there', 'none'])
      await pfs.close()
    })

    test('a program that is not there cannot be started', async () => {
      const pfs = await folder()
      await expect(
        world.runner.run(request(world.cmd.missing, pfs), () => {}, never),
      ).rejects.toMatchObject({ code: 'CODE_FAILED' })
      await expect(world.runner.identify({ cmd: world.cmd.missing })).rejects.toMatchObject({
        code: 'CODE_FAILED',
      })
      await pfs.close()
    })

    test.runIf(identifies)(
      'the digest of code is its own, and changes when the code does',
      async () => {
        const upper: Transform = { cmd: world.cmd.upper }
        const before = await world.runner.identify(upper)
        expect(before).toMatch(/^[0-9a-f]{64}$/)
        expect(await world.runner.identify(upper)).toBe(before)
        expect(await world.runner.identify({ cmd: world.cmd.fail })).not.toBe(before)
        await world.edit()
        expect(await world.runner.identify(upper)).not.toBe(before)
      },
    )
  })
}
