// Code that does not end, in pods: a service that is called through its Kubernetes Service (its ClusterIP,
// by kube-proxy), and a spout that writes commits with a token of its own. Network policies are enforced
// here, so what is not opened is shut.

import { once } from 'node:events'
import { connect } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobView } from '../../src/api/jobs.ts'
import type { PipelinePool } from '../../src/api/pools.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingForPolicies } from '../services/kubernetes/policies.ts'
import { missingTools } from '../services/need.ts'
import { PodsWorld, TOOLS_IMAGE } from './pods-world.ts'

const WAIT = { timeout: 240_000, interval: 500 }
const CALL_MS = 5_000
const PROJECT = { project: 'default' }
const PORT = 8080
/** The code listens on it too, and nobody opens it. */
const OTHER_PORT = 8081
const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const possible =
  kubernetesAvailable &&
  !given &&
  [...missingForPolicies(), ...missingTools('kubectl')].length === 0

/** Puts one small file over the API with what the environment gives, and says the status of the answer. */
const PUT = `ask='printf "PUT /api/v1/projects/%s/repos/%s/branches/%s/file?path=/%s HTTP/1.1\\r\\nHost: varve\\r\\nAuthorization: Bearer %s\\r\\nContent-Type: application/octet-stream\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nx\\n" "$VARVE_PROJECT_NAME" "$1" "$VARVE_BRANCH" "$2" "$VARVE_TOKEN"
read -r line; echo "$line" > /tmp/answer'
put() {
  at=\${VARVE_SERVER#http://}
  nc "\${at%:*}" "\${at#*:}" -e sh -c "$ask" put "$1" "$2"
  cat /tmp/answer
}`
const TICK = `${PUT}
echo "$VARVE_TOKEN" > /tmp/token
echo "elsewhere: $(put pages mine)"
while :; do echo "own: $(put "$VARVE_REPO" "$(date +%s)")"; sleep 4; done`

describe.skipIf(!possible)('code that does not end', () => {
  const name = `pods_standing_${process.pid}`
  let world: PodsWorld

  beforeAll(async () => {
    const server = await KubernetesServer.own({ policies: true })
    world = await PodsWorld.start({ name, server })
    await world.client.call('POST /projects/:project/repos', {
      params: PROJECT,
      body: { name: 'pages' },
    })
  })
  afterAll(() => world?.close())

  /** With all there is to see, when it fails. */
  async function until<T>(look: () => T | Promise<T>, is: (value: T) => boolean): Promise<void> {
    let last: unknown
    const tried = async (): Promise<boolean> => is((last = await look()) as T)
    await expect
      .poll(tried, WAIT)
      .toBe(true)
      .catch(async () => {
        throw new Error(`at last ${JSON.stringify(last)}\n${await seen()}`)
      })
  }

  async function seen(): Promise<string> {
    const asked = ['pipeline list', 'job list', 'pool list -o wide', 'logs ticks', 'logs below']
    const said = await Promise.all(
      asked.map(async (words) => {
        const { stdout, stderr } = await world.cluster.cli(words.split(' '))
        return `$ varve ${words}\n${stdout.slice(-2_000)}${stderr}`
      }),
    )
    return [...said, world.kubectl('get', 'all', '-o', 'wide'), world.cluster.tails()].join('\n\n')
  }

  async function page(text: string): Promise<void> {
    const put = await world.cluster.cli(
      ['file', 'put', 'pages@master:/index.html', '-f', '-'],
      text,
    )
    expect(put.code, put.stderr).toBe(0)
  }

  async function pool(pipeline: string): Promise<PipelinePool | null> {
    const route = 'GET /projects/:project/pipelines/:pipeline'
    return (await world.client.call(route, { params: { ...PROJECT, pipeline } })).pool
  }

  async function jobs(pipeline: string): Promise<readonly JobView[]> {
    const query = { pipeline }
    return (await world.client.call('GET /projects/:project/jobs', { params: PROJECT, query }))
      .items
  }

  const podsOf = async (pipeline: string): Promise<readonly string[]> => {
    const found = (await pool(pipeline))?.pool
    const label = `varve.dev/pool=${found}`
    const names = world.kubectl(
      'get',
      'pods',
      '-l',
      label,
      '-o',
      'jsonpath={.items[*].metadata.name}',
    )
    return names === '' ? [] : names.split(' ')
  }
  const logs = async (pipeline: string): Promise<string> =>
    (await world.cluster.cli(['logs', pipeline])).stdout
  const change = (verb: 'stop' | 'start', pipeline: string): Promise<unknown> =>
    world.client.call(`POST /projects/:project/pipelines/:pipeline/${verb}`, {
      params: { ...PROJECT, pipeline },
    })
  const remove = (pipeline: string): Promise<unknown> =>
    world.client.call('DELETE /projects/:project/pipelines/:pipeline', {
      params: { ...PROJECT, pipeline },
    })
  /** As the API server lists them: `service/…`, `networkpolicy…/…`. */
  const ofService = (pipeline: string): readonly string[] =>
    world
      .kubectl('get', 'services,networkpolicies', '-o', 'name')
      .split('\n')
      .filter((one) => one.includes(`varve-service-${pipeline}-`))

  test('a service answers with the newest commit, however often its code or its pod ends', async () => {
    await page('one')
    await world.put({
      pipeline: { name: 'site' },
      input: { pfs: { repo: 'pages' } },
      transform: {
        image: TOOLS_IMAGE,
        cmd: [
          'sh',
          '-c',
          `httpd -p ${OTHER_PORT} -h /pfs/pages; exec httpd -f -p ${PORT} -h /pfs/pages`,
        ],
      },
      service: { internalPort: PORT, externalPort: 80 },
    })
    await until(
      () => pool('site'),
      (one) => typeof one?.address === 'string',
    )
    const address = (await pool('site'))?.address ?? ''
    expect(address).toMatch(/^varve-service-site-[0-9a-f]{20}\.pools\.svc:80$/)
    const object = `service/${address.split('.')[0]}`
    const clusterIp = (): string => world.kubectl('get', object, '-o', 'jsonpath={.spec.clusterIP}')
    const ip = clusterIp()
    const specNow = (): unknown =>
      (JSON.parse(world.kubectl('get', object, '-o', 'json')) as { spec: unknown }).spec
    const made = specNow()
    const answer = (): Promise<string> =>
      fetch(`http://${ip}/index.html`, { signal: AbortSignal.timeout(CALL_MS) }).then(
        (response) => response.text(),
        (error: Error) => error.message,
      )
    await until(answer, (text) => text === 'one')

    // Nothing but the code listens in the pod, and of the code one port is open.
    const [first = ''] = await podsOf('site')
    const sockets = world.kubectl(
      'exec',
      first,
      '-c',
      'user',
      '--',
      'cat',
      '/proc/net/tcp',
      '/proc/net/tcp6',
    )
    const listening = [...sockets.matchAll(/:([0-9A-F]{4}) [0-9A-F]+:0000 0A /g)].map(([, port]) =>
      parseInt(port ?? '', 16),
    )
    expect([...new Set(listening)].toSorted()).toEqual([PORT, OTHER_PORT])
    const podIp = world.kubectl('get', 'pod', first, '-o', 'jsonpath={.status.podIP}')
    expect(await connects(podIp, PORT)).toBe(true)
    await until(
      () => connects(podIp, OTHER_PORT),
      (open) => !open,
    )

    // What somebody changes is put right, in place: the address of the cluster stays.
    const theirs = {
      type: 'NodePort',
      selector: { more: '1' },
      ports: [{ port: 80, targetPort: 1 }],
    }
    world.kubectl('patch', object, '--patch', JSON.stringify({ spec: theirs }))
    await until(specNow, (spec) => isDeepStrictEqual(spec, made))
    expect(clusterIp()).toBe(ip)

    await page('two')
    await until(answer, (text) => text === 'two')
    await until(
      () => jobs('site'),
      (all) => all.at(-1)?.state === 'stopped' && all[0]?.state === 'running',
    )
    expect((await jobs('site')).at(-1)?.cause?.text).toContain('newer')

    world.kubectl('exec', first, '-c', 'user', '--', 'sh', '-c', 'kill -9 $(pidof httpd)')
    await until(
      () => logs('site'),
      (text) => text.includes('it is started again in'),
    )
    await until(answer, (text) => text === 'two')
    expect(await podsOf('site')).toEqual([first])

    world.kubectl('delete', 'pod', first, '--grace-period=0', '--force')
    await until(answer, (text) => text === 'two')
    expect(await podsOf('site')).not.toContain(first)

    await change('stop', 'site')
    await until(
      () => podsOf('site'),
      (pods) => pods.length === 0,
    )
    expect((await pool('site'))?.address).toBe(address)
    expect(clusterIp()).toBe(ip)
    await change('start', 'site')
    await until(answer, (text) => text === 'two')
    expect(ofService('site')).toHaveLength(2)
    await remove('site')
  })

  test('a spout writes commits of its own repo, and only while its run stands', async () => {
    await world.put({
      pipeline: { name: 'ticks' },
      spout: {},
      transform: { image: TOOLS_IMAGE, cmd: ['sh', '-c', TICK] },
    })
    await world.put({
      pipeline: { name: 'below' },
      input: { pfs: { repo: 'ticks', glob: '/*' } },
      transform: { image: TOOLS_IMAGE, cmd: ['sh', '-c', 'cp /pfs/ticks/* /pfs/out/'] },
      // Pods of its own: those of the spout are counted.
      resourceRequests: { memory: '65Mi' },
    })
    const files = async (): Promise<number> => {
      const listed = await world.cluster.cli(['file', 'ls', 'below@master', '-o', 'name'])
      return listed.code === 0 ? listed.stdout.split('\n').filter((line) => line !== '').length : 0
    }
    await until(files, (count) => count >= 2)
    const said = await logs('ticks')
    expect(said).toMatch(/elsewhere: HTTP\/1\.1 403/)
    expect(said).toMatch(/own: HTTP\/1\.1 200/)

    const [first = ''] = await podsOf('ticks')
    const token = world.kubectl('exec', first, '-c', 'user', '--', 'cat', '/tmp/token')
    expect(token).toMatch(/^vs1\./)
    expect(said).not.toContain(token)
    const put = async (repo: string): Promise<number> => {
      const path = `/api/v1/projects/default/repos/${repo}/branches/master/file?path=/by-hand`
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': 'application/octet-stream',
      }
      const [api] = world.cluster.of('api')
      const init = { method: 'PUT', headers, body: 'x' }
      return (await fetch(`${api?.url}${path}`, init)).status
    }
    expect([await put('ticks'), await put('pages')]).toEqual([200, 403])

    world.kubectl('delete', 'pod', first, '--grace-period=0', '--force')
    await until(
      () => put('ticks'),
      (status) => status === 401,
    )
    const before = await files()
    await until(files, (count) => count >= before + 2)
    expect(await put('ticks')).toBe(401)
    expect(await podsOf('ticks')).not.toContain(first)
    await change('stop', 'ticks')
    await until(
      () => podsOf('ticks'),
      (pods) => pods.length === 0,
    )
  })

  test('with a service its objects go', async () => {
    await until(
      () => ofService('site'),
      (all) => all.length === 0,
    )
  })
})

/** Whether this machine, which is not the node, gets through. */
function connects(address: string, port: number): Promise<boolean> {
  const socket = connect({ host: address, port, timeout: CALL_MS })
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  return once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy())
}
