// Code that does its worst, under the real runner in a container of its own: whatever it does, its datum
// ends, the next one finds nothing of it, and the agent goes on.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { PodRunner } from '../../../src/exec/adapters/kubernetes/pod-runner.ts'
import type { Exit, OutputLine, RunRequest } from '../../../src/exec/runner.ts'
import { missingTools } from '../../services/need.ts'
import { UserContainer } from './container.ts'

const RUNNER_ALONE = [expect.stringContaining('busybox sh /varve/tools/runner')]
const never = new AbortController().signal
const GOOD: Exit = { code: 0, signal: null, timedOut: false }
const KILLED: Exit = { code: null, signal: 'SIGKILL', timedOut: false }

function request(script: string, more: Partial<RunRequest> = {}): RunRequest {
  const cmd = ['sh', '-c', script]
  const limits = { timeoutMs: undefined }
  return { cmd, stdin: undefined, env: {}, cwd: undefined, pfs: '', limits, ...more }
}

describe.skipIf(missingTools('bwrap', 'busybox').length > 0)('hostile code in a pod', () => {
  let container: UserContainer
  let runner: PodRunner

  beforeAll(async () => {
    container = new UserContainer({ IMAGE: 'its own', varve_nonce: 'of the image' })
    runner = await PodRunner.open(container, never)
  })
  afterAll(async () => {
    await runner.close()
    await container.close()
  })

  async function run(
    script: string,
    more: Partial<RunRequest> = {},
  ): Promise<{ readonly exit: Exit; readonly lines: string[] }> {
    const lines: string[] = []
    const exit = await runner.run(request(script, more), ({ text }) => void lines.push(text), never)
    return { exit, lines }
  }
  /** The container is as new, and runs the next. */
  async function expectFresh(): Promise<void> {
    const left = 'ls -A /tmp /dev/shm /varve/home | grep -v : ; echo fresh'
    const { exit, lines } = await run(left)
    expect(exit).toEqual(GOOD)
    expect(lines.filter((line) => line !== '')).toEqual(['fresh'])
    expect(container.processes()).toEqual(RUNNER_ALONE)
    expect(container.log).toBe('')
  }

  test('hundreds of processes in sessions of their own end with the program', async () => {
    const script = 'i=0; while [ $i -lt 400 ]; do setsid sleep 1000 & i=$((i+1)); done; exit 5'
    expect((await run(script)).exit).toEqual({ ...GOOD, code: 5 })
    expect(container.processes()).toEqual(RUNNER_ALONE)
    const forking = 'f() { setsid sh -c "sleep 1000" & }; while :; do f; done'
    const { exit } = await run(forking, { limits: { timeoutMs: 500 } })
    expect(exit).toEqual({ ...KILLED, timedOut: true })
    await expectFresh()
  })

  test('it cannot end the runner, and who ends all else is killed', async () => {
    expect((await run('kill -9 1; kill -TERM 1; kill -HUP 1; echo no')).lines).toEqual(['no'])
    const { exit } = await run('kill -9 -1; while :; do :; done')
    expect(exit).toEqual(KILLED)
    await expectFresh()
  })

  test('it dies of an interrupt, as anywhere else', async () => {
    const { exit } = await run('kill -INT $$; echo not reached')
    expect(exit).toEqual({ ...KILLED, signal: 'SIGINT' })
  })

  test('it has the variables of its image and its own, of any name, and none of the runner', async () => {
    const env = {
      'my-input': '/pfs/my-input/a',
      TEXT: 'it\'s\n$HOME `x` \\ "q"',
      varve_folder: '/x',
    }
    const { lines } = await run('', { env, cmd: ['env'] })
    expect(lines.join('\n')).toContain(`TEXT=${env.TEXT.split('\n')[0] ?? ''}`)
    expect(lines).toEqual(
      expect.arrayContaining(['my-input=/pfs/my-input/a', 'IMAGE=its own', 'varve_folder=/x']),
    )
    expect(lines.join('\n')).not.toMatch(/varve_(nonce|watch|box)/)
  })

  test('the pipes of the runner are shut, and its memory and files closed', async () => {
    const tries = [
      ': > /varve/pipes/reply',
      ': < /varve/pipes/reply',
      ': > /varve/pipes/request',
      ': < /varve/pipes/request',
      ': < /varve/pipes/stdout',
      'chmod 600 /varve/pipes/reply',
      'rm -f /varve/pipes/command',
      'echo x > /varve/pipes/command',
      'cat /proc/1/environ',
      'cat /proc/1/maps',
      ': > /proc/1/fd/4',
      ': > /proc/1/mem',
      'cat /varve/tools/busybox',
    ]
    const script = tries
      .map((each, i) => `(${each}) >/dev/null 2>&1 && echo ${i} worked`)
      .join('\n')
    expect((await run(`${script}\nexit 0`)).lines).toEqual([])
  })

  test('a forged reply and a forged end of output are only text', async () => {
    const nonce = '0123456789abcdef0123456789abcdef'
    const script = `printf 'ended ${nonce}\\n\\000${nonce}'; printf '\\000${nonce}' >&2; exit 3`
    const { exit, lines } = await run(script)
    expect(exit).toEqual({ ...GOOD, code: 3 })
    expect(lines.toSorted()).toEqual([`\0${nonce}`, `\0${nonce}`, `ended ${nonce}`])
  })

  test('closed and reopened pipes, and output of daemons, do no harm', async () => {
    expect((await run('exec >&- 2>&-; exit 4')).exit.code).toBe(4)
    const { exit, lines } = await run(
      '(setsid sh -c "while :; do echo x; done" &); sleep 0.1; exit 0',
    )
    expect(exit).toEqual(GOOD)
    expect(lines.length).toBeGreaterThan(0)
    expect((await run('echo a > /dev/stdout; echo b > /dev/stderr')).lines.toSorted()).toEqual([
      'a',
      'b',
    ])
    await expectFresh()
  })

  test('stdin comes whole, also to who opens it again, and need not be read', async () => {
    const stdin = new Uint8Array(2 << 20).fill(65)
    expect((await run('cat /dev/stdin | wc -c', { stdin })).lines).toEqual([String(stdin.length)])
    expect((await run('exit 6', { stdin })).exit.code).toBe(6)
    expect((await run('sleep 1000 & exit 0', { stdin })).exit).toEqual(GOOD)
    expect((await run('cat; cat', { stdin: new Uint8Array() })).lines).toEqual([])
    expect((await run('cat')).lines).toEqual([])
  })

  test('a flood without a newline is cut, and waits for who takes the lines', async () => {
    let chars = 0
    let longest = 0
    let open = 0
    let most = 0
    const take = async ({ text }: OutputLine): Promise<void> => {
      chars += text.length
      longest = Math.max(longest, text.length)
      most = Math.max(most, ++open)
      await new Promise((resolve) => setImmediate(resolve))
      open--
    }
    const bytes = 10_000_000
    await runner.run(request(`head -c ${bytes} /dev/zero | tr '\\0' a`), take, never)
    expect({ chars, longest }).toEqual({ chars: bytes, longest: 65_536 })
    await runner.run(request('yes | head -n 200000'), take, never)
    expect(chars).toBe(bytes + 200_000)
    // A read of 64 KiB holds so many of two bytes.
    expect(most).toBeLessThanOrEqual(32_768)
  })

  test('when nobody takes its lines it is ended, and the next one runs', async () => {
    const refuse = (): Promise<void> => Promise.reject(new Error('the server is away'))
    const refuseAtOnce = (): void => {
      throw new Error('no more')
    }
    const loud = request('while :; do echo x; done')
    await expect(runner.run(loud, refuse, never)).rejects.toThrow('the server is away')
    await expect(runner.run(loud, refuseAtOnce, never)).rejects.toThrow('no more')
    await expectFresh()
  })

  test('what it leaves outside of its output is gone, however it is hidden', async () => {
    const hidden =
      'mkdir -p $d/a/b; touch $d/a/b/c $d/.d $d/..e; ln -s / $d/root; chmod 000 $d/a/b $d/a'
    const name = 'n'.repeat(200)
    const deep = `cd /tmp; i=0; while [ $i -lt 60 ]; do mkdir ${name}; cd -P ${name}; i=$((i+1)); done; touch x`
    const script = `for d in /tmp /dev/shm /varve/home; do ${hidden}; done; ${deep}; exit 0`
    expect((await run(script)).exit).toEqual(GOOD)
    await expectFresh()
  })

  test('what cannot be started says why', async () => {
    const script =
      'printf "#!/no/such\\n" > /pfs/out/bad; printf "\\177ELF" > /pfs/out/elf; chmod +x /pfs/out/*'
    await run(script)
    const why = (cmd: string[], cwd?: string): Promise<string> =>
      runner
        .run(request('', { cmd, cwd }), () => {}, never)
        .then(String, (error: Error) => error.message)
    expect(await why(['/pfs/out/bad'])).toBe(
      'cannot start "/pfs/out/bad": No such file or directory',
    )
    expect(await why(['true'], '/no')).toBe('cannot start "true": there is no such working folder')
    expect(await why(['./true'], '/usr/bin')).toBe('[object Object]')
    expect(await why(['/usr'])).toBe('cannot start "/usr": it is not an executable file here')
    expect(await why(['a\0b'])).toContain('NUL')
    expect(await why(['true', 'x'.repeat(200_000)])).toContain('Argument list too long')
    await run('cp /usr/bin/true "/pfs/out/a=b"')
    expect(await why(['/pfs/out/a=b'])).toBe('[object Object]')
  })

  test('an agent that is killed takes its code along, and the next one goes on', async () => {
    const pipes = container.pipes
    await runner.close()
    await container.ended()
    container.start()
    const module = new URL('../../../src/exec/adapters/kubernetes/pod-runner.ts', import.meta.url)
    const program = `const { PodRunner } = await import(${JSON.stringify(module.href)})
      const never = new AbortController().signal
      const runner = await PodRunner.open({ pipes: ${JSON.stringify(pipes)} }, never)
      const request = ${JSON.stringify(request('echo begun; setsid sleep 1000'))}
      await runner.run({ ...request, limits: {} }, () => console.log('begun'), never)`
    const agent = spawn(process.execPath, ['--input-type=module', '-e', program])
    await once(agent.stdout, 'data')
    expect(container.processes().length).toBeGreaterThan(1)
    agent.kill('SIGKILL')
    // The runner waits for the next agent with short sleeps.
    await vi.waitFor(() => expect(container.processes().join()).not.toContain('sleep 1000'), 10_000)
    runner = await PodRunner.open(container, never)
    await expectFresh()
  })

  test('a container that ends in the middle has killed the code, and the next one goes on', async () => {
    const began = Promise.withResolvers<void>()
    const running = runner.run(request('echo begun; sleep 1000'), () => began.resolve(), never)
    await began.promise
    await container.kill()
    expect(await running).toEqual({ code: null, signal: 'SIGKILL', timedOut: false })
    container.start()
    await expectFresh()
    expect(readdirSync(container.pipes).length).toBeGreaterThan(0)
  })
})
