// The harness itself: what the other files here stand on. A cluster of its own, whatever is given.

import type { CoreV1Api, V1Pod } from '@kubernetes/client-node'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { KubernetesComponent } from '../services/kubernetes.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'

const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const NETWORK = resolve(import.meta.dirname, '../services/kubernetes/network')
const namespace = 'default'
const name = 'worker'
/** In the command line of every process of the pod. */
const MARK = `mark-${process.pid}`
const WAIT = { timeout: 60_000, interval: 50 }

const asked: string[] = []
const host = createServer((request, response) => {
  asked.push(request.url ?? '')
  response.end('hello from the machine')
})

describe.skipIf(!kubernetesAvailable || given)('harness: a real Kubernetes', () => {
  let server: KubernetesServer
  let core: CoreV1Api

  beforeAll(async () => {
    server = await KubernetesServer.own()
    const { CoreV1Api, KubeConfig } = await import('@kubernetes/client-node')
    const config = new KubeConfig()
    config.loadFromFile(server.kubeconfig)
    core = config.makeApiClient(CoreV1Api)
    await new Promise<void>((listening) => host.listen(0, server.hostAddress, listening))
  })

  afterAll(async () => {
    host.close()
    await server?.stop()
  })

  const log = (container: string): Promise<string> =>
    core.readNamespacedPodLog({ namespace, name, container })

  test('a made image runs as a pod, beside an init container and a sidecar that reaches this machine', async () => {
    const { port } = host.address() as AddressInfo
    await server.image('tools:1', { busybox: true })
    await server.image('nothing:1', { env: { GREETING: 'from the image' }, cwd: '/tmp' })
    await server.image('agent:1', {
      bins: { '/usr/bin/node': process.execPath },
      copies: { '/app/marker.ts': import.meta.filename },
      user: '1000',
      entrypoint: ['/usr/bin/node', '--input-type=module', '-e'],
    })
    await core.createNamespacedPod({
      namespace,
      body: pod(`http://${server.hostAddress}:${port}/asked`),
    })
    await vi.waitFor(async () => expect(await log('user')).toContain('tick 2'), WAIT)
    await vi.waitFor(
      async () => expect(await log('agent')).toBe('1000 true hello from the machine\n'),
      WAIT,
    )
    expect(await log('user')).toContain('from the image in /tmp')
    expect(asked).toEqual(['/asked'])
  })

  test.each<KubernetesComponent>(['kube-apiserver', 'etcd', 'kubelet', 'containerd'])(
    '%s killed is back by itself, and the pod lived on',
    async (component) => {
      const before = await core.readNamespacedPod({ namespace, name })
      await server.signal(component, 'KILL')
      await vi.waitFor(
        () => expect(server.log).toContain(`${component} ended with status 137`),
        WAIT,
      )
      await server.ready()
      const after = await vi.waitFor(() => core.readNamespacedPod({ namespace, name }), WAIT)
      expect(after.metadata?.uid).toBe(before.metadata?.uid)
      expect(after.status?.containerStatuses?.map((one) => one.restartCount)).toEqual([0, 0])
    },
  )

  test('a component stopped does not answer until it is continued', async () => {
    await server.signal('kube-apiserver', 'STOP')
    await expect(server.ready(1_000)).rejects.toThrow('not Ready within 1 s')
    await server.signal('kube-apiserver', 'CONT')
    await server.ready()
    expect((await core.readNamespacedPod({ namespace, name })).status?.phase).toBe('Running')
  })

  test('another process uses it by its kubeconfig, and does not stop it', async () => {
    const other = KubernetesServer.at(server.kubeconfig)
    expect(other.hostAddress).toBe(server.hostAddress)
    await other.image('other:1', {})
    await other.stop()
    await other.ready()
  })

  test('stop leaves no process, interface, network namespace, mount, control group or file', async () => {
    const folder = dirname(server.kubeconfig)
    const number = server.hostAddress.split('.')[2] ?? ''
    const left = (): Record<string, boolean> => ({
      process: processes().some((line) => line.includes(folder)),
      pod: processes().some((line) => line.includes(MARK)),
      interface: existsSync(`/sys/class/net/varve${number}`),
      namespace: existsSync(`/run/netns/varve-${number}`),
      groups: readdirSync('/sys/fs/cgroup').some((kind) =>
        existsSync(join('/sys/fs/cgroup', kind, `varve-${number}`)),
      ),
      folder: existsSync(folder),
    })
    expect(new Set(Object.values(left()))).toEqual(new Set([true]))
    await server.stop()
    expect(new Set(Object.values(left()))).toEqual(new Set([false]))
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(folder)
  })

  test('what a killed test process left behind is taken away by the next start', () => {
    const { pid } = spawnSync('true')
    const network = (...args: string[]): string =>
      spawnSync(NETWORK, args, { encoding: 'utf8' }).stdout.trim()
    const dead = network('up', String(pid), '/nowhere')
    const alive = network('up', String(process.pid), '/nowhere')
    expect(existsSync(`/sys/class/net/varve${dead}`)).toBe(true)
    network('sweep')
    expect(existsSync(`/sys/class/net/varve${dead}`)).toBe(false)
    expect(existsSync(`/run/netns/varve-${alive}`)).toBe(true)
    network('down', alive)
    expect(existsSync(`/run/netns/varve-${alive}`)).toBe(false)
  })
})

/** The user's container is of an image with nothing in it, and runs what the init container put there. */
function pod(url: string): V1Pod {
  const ticks =
    'echo "$GREETING in $(/tools/busybox pwd)"; i=0; while :; do i=$((i+1)); echo tick $i'
  const asks = `import fs from 'node:fs'
    const text = await (await fetch('${url}')).text()
    console.log(process.getuid(), fs.existsSync('/app/marker.ts'), text)
    setInterval(() => {}, 1000) // ${MARK}`
  const volumeMounts = [{ name: 'tools', mountPath: '/tools' }]
  return {
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      volumes: [{ name: 'tools', emptyDir: {} }],
      initContainers: [
        {
          name: 'tools',
          image: 'tools:1',
          command: ['cp', '/bin/busybox', '/tools/busybox'],
          volumeMounts,
        },
      ],
      containers: [
        {
          name: 'user',
          image: 'nothing:1',
          command: [
            '/tools/busybox',
            'sh',
            '-c',
            `${ticks}; /tools/busybox sleep 0.2; done # ${MARK}`,
          ],
          volumeMounts,
        },
        { name: 'agent', image: 'agent:1', args: [asks] },
      ],
    },
  }
}

/** The command lines of every process of this machine. */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
      } catch {
        return []
      }
    })
}
