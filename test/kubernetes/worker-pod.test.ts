// What user code in a worker's pod can see and touch, on a real Kubernetes: a namespace that enforces the
// restricted standard, an image that has no shell, a token and a secret to look for. The runner is the
// image's; the agent's part is done by the agent's classes, in the agent's container.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { IMAGE, buildRoot } from '../../scripts/image.ts'
import { deploymentOf } from '../../src/exec/adapters/kubernetes/deployment.ts'
import { networkPolicyOf } from '../../src/exec/adapters/kubernetes/network-policy.ts'
import { agentOf } from '../../src/exec/adapters/kubernetes/settings.ts'
import { shapeOf } from '../../src/exec/adapters/kubernetes/shape.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'

const CANARY = 'canary-of-the-token'
const OTHERS = 'input-of-another-datum'
const WAIT = { timeout: 120_000, interval: 500 }
const LABELS = { 'app.kubernetes.io/instance': 'main' }
const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const possible = kubernetesAvailable && !given && missingTools('kubectl').length === 0

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

interface Ran {
  readonly exit: { readonly code: number | null; readonly signal: string | null }
  readonly lines: readonly string[]
  /** Path and kind, and for files what is in them or why they cannot be read. */
  readonly out: readonly (readonly [string, string, string])[]
}

/** Done in the agent's container, with its own classes: `scripts` one after another as datums. */
const DRIVER = `
const at = '/app/src/exec/adapters/kubernetes/'
const { PodRunner } = await import(at + 'pod-runner.ts')
const { PodScratch } = await import(at + 'pod-scratch.ts')
const { IN_AGENT } = await import(at + 'pod.ts')
const never = new AbortController().signal
const runner = await PodRunner.open(IN_AGENT, never)
const folder = await new PodScratch(IN_AGENT).folder()
const results = []
for (const [n, script] of SCRIPTS.entries()) {
  await folder.remove('in')
  await folder.write('in/' + n, Buffer.from('input ' + n))
  await folder.empty('out')
  const lines = []
  const cmd = ['/varve/tools/busybox', 'sh', '-c', script]
  const request = { cmd, env: { N: String(n) }, pfs: folder.path, limits: { timeoutMs: 60000 } }
  const exit = await runner.run(request, ({ text }) => void lines.push(text), never)
  const out = []
  for await (const { path, kind, target } of folder.entries('out'))
    try {
      const bytes = Buffer.concat(await Array.fromAsync(folder.read('out/' + path)))
      out.push([path, kind, bytes.toString()])
    } catch (error) {
      out.push([path, kind, error.code + ' ' + (target ?? '')])
    }
  results.push({ exit, lines, out })
}
console.log('RESULTS' + JSON.stringify(results))
process.exit(0)
`

describe.skipIf(!possible)("a worker's pod", () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-pod-'))
  let server: KubernetesServer
  let pod: string

  function kubectl(args: readonly string[], input?: string): { ok: boolean; text: string } {
    const to = ['--kubeconfig', server.kubeconfig, '-n', 'work', '--request-timeout=60s', ...args]
    const ran = spawnSync('kubectl', to, { input, encoding: 'utf8', timeout: 120_000 })
    return { ok: ran.status === 0, text: (ran.stdout + ran.stderr).trim() }
  }
  function must(args: readonly string[], input?: string): string {
    const { ok, text } = kubectl(args, input)
    expect(ok, text).toBe(true)
    return text
  }
  const agent = (...command: readonly string[]): string =>
    must(['exec', pod, '-c', 'agent', '--', '/bin/busybox', ...command])
  function run(...scripts: readonly string[]): readonly Ran[] {
    const node = ['/usr/local/bin/node', '--input-type=module', '-']
    const driver = DRIVER.replace('SCRIPTS', () => JSON.stringify(scripts))
    const text = must(['exec', '-i', pod, '-c', 'agent', '--', ...node], driver)
    return JSON.parse(/^RESULTS(.*)$/m.exec(text)?.[1] ?? text) as readonly Ran[]
  }

  beforeAll(async () => {
    server = await KubernetesServer.own()
    const root = join(folder, 'root')
    await buildRoot(root)
    // The image as it is, but that it waits: its classes are driven from here.
    const wait = ['/bin/busybox', 'sh', '-c', 'exec /bin/busybox sleep 3600', 'agent']
    await server.image('localhost/varve:1', { root, env: IMAGE.env, entrypoint: wait })
    writeFileSync(join(folder, 'hello'), 'hello')
    await server.image('localhost/user:1', { copies: { '/hello': join(folder, 'hello') } })
    must(['create', 'namespace', 'work'])
    must(['label', 'namespace', 'work', 'pod-security.kubernetes.io/enforce=restricted'])
    must(['create', 'secret', 'generic', 'varve-token-1', `--from-literal=token=${CANARY}`])
    must(['create', 'secret', 'generic', 'store', '--from-literal=k=value of k'])
    const spec = parsePipelineDocument({
      pipeline: { name: 'a' },
      transform: {
        image: 'localhost/user:1',
        cmd: ['x'],
        secrets: [
          { name: 'store', key: 'k', envVar: 'K' },
          { name: 'store', mountPath: '/etc/store' },
        ],
      },
      input: { pfs: { repo: 'r', glob: '/' } },
      resourceLimits: { memory: '64Mi', disk: '1Gi' },
      resourceRequests: { cpu: '10m' },
    })
    const api = { url: 'http://varve', to: { cidr: '10.0.0.0/8' }, port: 7070 }
    const deployment = deploymentOf(shapeOf('default', spec, { digest }), {
      namespace: 'work',
      replicas: 1,
      labels: LABELS,
      digest,
      agent: agentOf({ namespace: 'work', image: 'localhost/varve:1', api }),
      apiUrl: api.url,
      tokenSecret: 'varve-token-1',
      graceSeconds: 2,
    })
    const policy = networkPolicyOf({
      name: 'varve-workers',
      namespace: 'work',
      labels: LABELS,
      api: { to: api.to, ports: [api.port] },
    })
    must(['apply', '-f', '-'], JSON.stringify(policy))
    must(['apply', '-f', '-'], JSON.stringify(deployment))
    pod = await vi.waitFor(() => {
      const line = must(['get', 'pods', '--no-headers'])
      expect(line, must(['get', 'events'])).toMatch(/ 2\/2 /)
      return line.split(' ')[0] ?? ''
    }, WAIT)
    agent('sh', '-c', `echo ${OTHERS} > /work/cache/other`)
  })

  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('code has its secrets, its input to read and its output to write', () => {
    const [first, second] = run(
      'id -u; echo "$K"; cat /etc/store/k /pfs/in/0; touch /tmp/x $HOME/x; echo $N > /pfs/out/n',
      'ls -A /pfs/in /tmp $HOME; cat /hello; mkdir /pfs/out/d; echo y > /pfs/out/d/f; chmod 0 /pfs/out/d',
    )
    expect(first?.exit.code).toBe(0)
    expect(first?.lines).toEqual(['1000', 'value of k', 'value of kinput 0'])
    expect(first?.out).toEqual([['n', 'file', '0\n']])
    expect(second?.lines.filter((line) => !/:$|^$/.test(line))).toEqual(['1', 'hello'])
    expect(second?.out).toEqual([['d/f', 'file', 'y\n']])
  })

  test('the token and other datums are in reach of the agent alone', () => {
    expect(agent('cat', '/token/token')).toBe(CANARY)
    // Not in the folder of the pipes: who opens the one that is its own to read waits.
    const find = `grep -rsl -e ${CANARY} -e ${OTHERS} /pfs /varve/home /etc /tmp /dev/shm /hello /run /var /sys/fs
      cat /proc/*/environ 2>/dev/null | grep -c ${CANARY}
      for file in /token /work /var/run/secrets /pipes /proc/1/root/token; do ls "$file" && echo "seen $file"; done
      for step in .. ../.. ../../..; do ls /pfs/out/$step/cache /pfs/$step/cache && echo "seen $step"; done
      find / -xdev -name token 2>/dev/null; exit 0`
    const [ran] = run(find)
    expect(ran?.lines.filter((line) => !line.startsWith('ls: '))).toEqual(['0'])
    expect(must(['get', 'pod', pod, '-o', 'jsonpath={.spec.automountServiceAccountToken}'])).toBe(
      'false',
    )
  })

  test('links lead the agent nowhere', () => {
    const links = `cd /pfs/out; ln -s /token/token a; ln -s ../../token/token b; ln -s /work/cache c
      ln -s ../cache/other d; ln -s /pfs/in/0 e; ln -s /proc/self/environ f; ln /pfs/in/0 g; exit 0`
    const [ran] = run(links)
    expect(ran?.out.toSorted()).toEqual([
      ['a', 'link', 'INVALID_PATH '],
      ['b', 'link', 'INVALID_PATH '],
      ['c', 'link', 'INVALID_PATH '],
      ['d', 'link', 'INVALID_PATH cache/other'],
      ['e', 'link', 'INVALID_PATH in/0'],
      ['f', 'link', 'INVALID_PATH '],
    ])
  })

  test('the runner, its pipes and what code is given cannot be changed', () => {
    const tries = [
      'cat /proc/1/environ',
      'cat /proc/1/maps',
      ': > /proc/1/mem',
      ': > /proc/1/fd/4',
      ': > /varve/pipes/reply',
      ': < /varve/pipes/request',
      'chmod 600 /varve/pipes/reply',
      'echo x > /varve/pipes/command',
      'cat /varve/tools/busybox',
      'rm -f /varve/tools/runner',
      'echo no > /pfs/in/0',
      'touch /pfs/new',
      'kill -9 1 && kill -0 1 && false',
    ]
    const script = tries
      .map((each, i) => `(${each}) >/dev/null 2>&1 && echo ${i} worked`)
      .join('\n')
    const [ran] = run(`${script}\nps -o comm | grep -c -e node -e sleep; exit 0`)
    expect(ran?.lines).toEqual(['0'])
  })

  test('a runner that ends comes back with its container', async () => {
    const restarts = '-o=jsonpath={.status.containerStatuses[?(@.name=="user")].restartCount}'
    const bye = `const at = '/app/src/exec/adapters/kubernetes/'
      const { PodRunner } = await import(at + 'pod-runner.ts')
      await (await PodRunner.open({ pipes: '/pipes' }, new AbortController().signal)).close()`
    must(
      ['exec', '-i', pod, '-c', 'agent', '--', '/usr/local/bin/node', '--input-type=module', '-'],
      bye,
    )
    await vi.waitFor(() => expect(must(['get', 'pod', pod, restarts])).toBe('1'), WAIT)
    expect(run('echo again')[0]?.lines).toEqual(['again'])
  })
})
