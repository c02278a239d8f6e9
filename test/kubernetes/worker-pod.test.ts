// What the user's container of a worker's pod can see and touch, on a real Kubernetes: a namespace that
// enforces the restricted standard, an image that has no shell, a token and a secret to look for.

import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { deploymentOf } from '../../src/exec/adapters/kubernetes/deployment.ts'
import { networkPolicyOf } from '../../src/exec/adapters/kubernetes/network-policy.ts'
import { shapeOf } from '../../src/exec/adapters/kubernetes/shape.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'

const CANARY = 'canary-of-the-token'
const WAIT = { timeout: 120_000, interval: 500 }
const LABELS = { 'app.kubernetes.io/instance': 'main' }
const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const possible = kubernetesAvailable && !given && missingTools('kubectl').length === 0

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What a command printed, and whether it ended well. */
interface Done {
  readonly ok: boolean
  readonly text: string
}

describe.skipIf(!possible)("a worker's pod", () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-pod-'))
  let server: KubernetesServer
  let pod: string

  function kubectl(args: readonly string[], input?: string): Done {
    const to = ['--kubeconfig', server.kubeconfig, '-n', 'work', ...args]
    const ran = spawnSync('kubectl', to, { input, encoding: 'utf8' })
    return { ok: ran.status === 0, text: (ran.stdout + ran.stderr).trim() }
  }
  function must(args: readonly string[], input?: string): string {
    const { ok, text } = kubectl(args, input)
    expect(ok, text).toBe(true)
    return text
  }
  const user = (...command: readonly string[]): Done =>
    kubectl(['exec', pod, '-c', 'user', '--', '/varve/tools/busybox', ...command])
  const agent = (...command: readonly string[]): Done =>
    kubectl(['exec', pod, '-c', 'agent', '--', ...command])

  beforeAll(async () => {
    server = await KubernetesServer.own()
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    // Only what stands still: what runs datums is not looked at here.
    const runner = file('runner.sh', 'while :; do /varve/tools/busybox sleep 1; done\n')
    await server.image('localhost/agent:1', {
      busybox: true,
      copies: { '/app/runner.sh': runner },
      entrypoint: ['/bin/sh', '-c', 'sleep 3600', 'agent'],
    })
    await server.image('localhost/user:1', { copies: { '/hello': file('hello', 'hello') } })
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
    const deployment = deploymentOf(shapeOf('default', spec, { digest }), {
      namespace: 'work',
      replicas: 1,
      labels: LABELS,
      digest,
      agent: {
        image: 'localhost/agent:1',
        shell: '/bin/busybox',
        runner: '/app/runner.sh',
        args: ['work'],
        requests: { cpu: '10m' },
        limits: { memory: '64Mi' },
      },
      apiUrl: 'http://varve',
      tokenSecret: 'varve-token-1',
      graceSeconds: 2,
    })
    const policy = networkPolicyOf({
      name: 'varve-workers',
      namespace: 'work',
      labels: LABELS,
      api: { to: { cidr: '10.0.0.0/8' }, ports: [7070] },
    })
    must(['apply', '-f', '-'], JSON.stringify(policy))
    must(['apply', '-f', '-'], JSON.stringify(deployment))
    pod = await vi.waitFor(() => {
      const line = must(['get', 'pods', '--no-headers'])
      expect(line).toMatch(/ 2\/2 /)
      return line.split(' ')[0] ?? ''
    }, WAIT)
  })

  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('code has its secrets, its input to read and its output to write', () => {
    expect(user('id').text).toMatch(/^uid=1000/)
    expect(user('env').text).toContain('K=value of k')
    expect(user('cat', '/etc/store/k').text).toBe('value of k')
    expect(agent('sh', '-c', 'echo in > /work/pfs/file').ok).toBe(true)
    expect(user('cat', '/pfs/file').text).toBe('in')
    for (const path of ['/pfs/out/made', '/varve/home/made', '/tmp/made'])
      expect(user('touch', path), path).toMatchObject({ ok: true })
  })

  test('the token is in reach of the agent alone', () => {
    expect(agent('cat', '/token/token').text).toBe(CANARY)
    expect(user('env').text).not.toContain(CANARY)
    for (const path of ['/token', '/var/run/secrets', '/work'])
      expect(user('ls', path), path).toMatchObject({ ok: false })
    const grep = ['grep', '-rsl', CANARY, '/pfs', '/varve', '/etc', '/tmp', '/dev/shm']
    expect(user(...grep).text.replace(/^command terminated.*$/m, '')).toBe('')
    expect(must(['get', 'pod', pod, '-o', 'jsonpath={.spec.automountServiceAccountToken}'])).toBe(
      'false',
    )
  })

  test('no other process of the pod is seen, and none of its files by way of /proc', () => {
    expect(user('ps').text).not.toContain('sleep 3600')
    expect(user('sh', '-c', 'cat /proc/1/environ').ok).toBe(false)
  })

  test('what it is given cannot be changed, nor linked into what it gives back', () => {
    expect(user('sh', '-c', 'echo no > /pfs/file').ok).toBe(false)
    expect(user('touch', '/pfs/new').ok).toBe(false)
    expect(user('ln', '/pfs/file', '/pfs/out/link').ok).toBe(false)
    expect(user('rm', '-f', '/varve/runner').ok && user('ls', '/varve/runner').ok).toBe(false)
    expect(user('sh', '-c', 'rm -rf /varve/pipes/* /varve/tools/*').ok).toBe(false)
    expect(agent('cat', '/work/pfs/file').text).toBe('in')
  })
})
