// The chart on a real Kubernetes, as a newcomer meets it: what Helm prints is done as it stands.
import { execFileSync, spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { profile } from '../helm/rendered.ts'
import { CHART, helm, helmAvailable, helmBinary } from '../services/helm.ts'
import type { Helmed } from '../services/helm.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'
import { addVarveImage } from '../services/varve-image.ts'

const START_MS = 1_800_000
const WAIT = { timeout: 60_000, interval: 200 }
const SHORT = `p${process.pid}`
const TRIAL = `chart-trial-${SHORT}`
const CLUSTER = `chart-cluster-${SHORT}`
const IMAGE = ['--set', 'image.repository=localhost/varve', '--set', `image.tag=${SHORT}`]
const possible = kubernetesAvailable && helmAvailable && missingTools('kubectl').length === 0

describe.skipIf(!possible)('chart on Kubernetes', () => {
  let server: KubernetesServer
  const env = (): NodeJS.ProcessEnv => ({ ...process.env, KUBECONFIG: server.kubeconfig })
  const kubectl = (...args: readonly string[]): string =>
    execFileSync('kubectl', args, { encoding: 'utf8', env: env() })
  const on = (namespace: string, ...args: readonly string[]): Promise<Helmed> =>
    helm([...args, '-n', namespace], env())
  const installCluster = (...sets: readonly string[]): Promise<Helmed> => {
    const given = sets.flatMap((set) => ['--set', set])
    const what = ['upgrade', '--install', 'varve', CHART, '-f', profile('cluster')]
    return on(CLUSTER, ...what, ...IMAGE, ...given, '--timeout', '90s')
  }

  beforeAll(async () => {
    await helmBinary()
    server = await KubernetesServer.start()
    await addVarveImage(server, `localhost/varve:${SHORT}`)
    for (const namespace of [TRIAL, CLUSTER]) {
      kubectl('create', 'namespace', namespace)
      kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
    }
  }, START_MS)

  afterAll(async () => {
    if (!server) return
    for (const namespace of [TRIAL, CLUSTER]) {
      await on(namespace, 'uninstall', 'varve', '--ignore-not-found')
      spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env: env() })
    }
    await server.stop()
  })

  test('a trial needs nothing but the cluster, and what Helm prints works as it stands', async () => {
    const install = ['install', 'varve', CHART, '--set', 'embedded.enabled=true', ...IMAGE]
    const { ok, stdout, stderr } = await on(TRIAL, ...install, '--wait', '--timeout', '180s')
    expect(ok, stderr).toBe(true)
    const commands = stdout.split('\n').filter((line) => /^ {2}(?:kubectl|echo) /.test(line))
    expect(commands.length).toBeGreaterThanOrEqual(6)
    for (const command of commands) {
      // It stays in the foreground: what it opens is looked at by `helm test`.
      if (command.includes('port-forward')) continue
      // The demo's first job comes some seconds after its server.
      await vi.waitFor(() => {
        const done = spawnSync('sh', ['-euc', command], { encoding: 'utf8', env: env() })
        expect(done.status, `${command}\n${done.stderr}`).toBe(0)
        expect(done.stdout, command).not.toBe('')
      }, WAIT)
    }
    const tested = await on(TRIAL, 'test', 'varve', '--logs')
    expect(tested.stdout + tested.stderr).toContain('200 {"status":"ok"}')
  })

  test('its data outlive a kill of its process', async () => {
    const varve = (...args: readonly string[]): string =>
      kubectl('-n', TRIAL, 'exec', 'deploy/varve', '--', 'varve', ...args)
    const container = (field: string): string => {
      const path = `jsonpath={.items[0].status.containerStatuses[0].${field}}`
      const ofPod = ['get', 'pod', '-l', 'app.kubernetes.io/component=api', '-o', path]
      return kubectl('-n', TRIAL, ...ofPod)
    }
    varve('repo', 'create', 'kept')
    expect(container('restartCount')).toBe('0')
    // Killed with its process, the command has no end of its own.
    const kill = 'kill -9 $(pidof node)'
    const there = ['-n', TRIAL, 'exec', 'deploy/varve', '--', 'sh', '-c', kill]
    spawnSync('kubectl', there, { env: env() })
    await vi.waitFor(() => {
      expect(container('restartCount')).toBe('1')
      expect(container('ready')).toBe('true')
    }, WAIT)
    expect(varve('repo', 'list', '-o', 'name').split('\n')).toContain('kept')
  })

  test('the API server takes every object of every role', async () => {
    const cluster = ['-f', profile('cluster'), ...IMAGE]
    const { stdout } = await on(CLUSTER, 'template', 'varve', CHART, ...cluster)
    const applied = spawnSync('kubectl', ['-n', CLUSTER, 'apply', '--dry-run=server', '-f', '-'], {
      input: stdout,
      encoding: 'utf8',
      env: env(),
    })
    expect(applied.status, applied.stderr).toBe(0)
    expect(applied.stderr, 'nothing that the restricted standard warns of').toBe('')
  })

  test('a secret that is not there, or lacks a key, is refused by the name of the value', async () => {
    const without = await installCluster()
    expect(without.ok).toBe(false)
    expect(without.stderr).toContain(
      `secrets.server.existingSecret: there is no secret "varve" in the namespace "${CLUSTER}"`,
    )
    kubectl('-n', CLUSTER, 'create', 'secret', 'generic', 'varve', '--from-literal=token=t')
    const half = await installCluster()
    expect(half.stderr).toContain(
      'secrets.server.keys.clusterSecret: the secret "varve" has no key "cluster-secret"',
    )
    kubectl('-n', CLUSTER, 'delete', 'secret', 'varve')
  })

  test('what the doctor finds wrong ends the install, is printed, and nothing was made', async () => {
    const both = ['--from-literal=token=t', `--from-literal=cluster-secret=${'s'.repeat(32)}`]
    kubectl('-n', CLUSTER, 'create', 'secret', 'generic', 'varve', ...both)
    const { ok, stderr } = await installCluster('options.kafka=nowhere.invalid:9092')
    expect(ok).toBe(false)
    expect(stderr).toContain('Kafka at nowhere.invalid:9092')
    expect(stderr).toContain('try: ')
    expect(kubectl('-n', CLUSTER, 'get', 'deployments', '-o', 'name')).toBe('')
  })
})
