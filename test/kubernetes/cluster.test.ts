// The product on a real Kubernetes beside a real Kafka, Cassandra and S3: installed by the chart, used,
// hurt, and taken away again. The tests go on from each other, the last one uninstalls.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ROLES } from '../../src/config/options.ts'
import { idSource } from '../../src/model/id.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { checkDelivery } from '../faults/checker.ts'
import { applyFeed, createTopics, drained, produce, verify } from '../faults/feed.ts'
import { judgeFeed } from '../faults/judge.ts'
import { Installation, installationPossible } from './installation.ts'

const START_MS = 1_800_000
const WAIT = { timeout: 120_000, interval: 100 }
const REPO = { project: 'default', repo: 'words' }
/** Puts that are sent while the API's pod goes, half of them before. */
const PUTS = 40
const RECORDS = 8_000
const DRAIN_MS = 300_000

describe.skipIf(!installationPossible)('Varve on Kubernetes', () => {
  let varve: Installation
  const newKey = idSource(systemClock, systemRandom)

  beforeAll(async () => {
    varve = await Installation.prepare()
    const { ok, stdout, stderr } = await varve.install()
    expect(ok, `${stdout}${stderr}\n${varve.describe()}`).toBe(true)
  }, START_MS)

  afterAll(() => varve?.stop())

  async function put(path: string, idempotencyKey = newKey()): Promise<void> {
    const content = new TextEncoder().encode(`of ${path}`)
    await varve.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
      params: { ...REPO, branch: 'master' },
      query: { path },
      content,
      idempotencyKey,
      signal: AbortSignal.timeout(10_000),
    })
  }

  async function get(path: string): Promise<string> {
    const { content } = await varve.client.download(
      'GET /projects/:project/repos/:repo/commits/:ref/file',
      { params: { ...REPO, ref: 'master' }, query: { path } },
    )
    return Buffer.concat(await Array.fromAsync(content)).toString()
  }

  test('every role runs, has what it needs, and wrote nothing of a failure', () => {
    const pods = JSON.parse(varve.kubectl('get', 'pods', '-o', 'json')) as PodList
    const ready = pods.items.flatMap(({ metadata, status }) =>
      status.containerStatuses?.every((one) => one.ready && one.restartCount === 0)
        ? [metadata.labels['app.kubernetes.io/component']]
        : [],
    )
    // What examined the servers beforehand is gone, as it found nothing.
    expect(ready.toSorted(), varve.describe()).toEqual(ROLES.toSorted())
    expect(pods.items).toHaveLength(ROLES.length)
    for (const role of ROLES)
      expect(varve.kubectl('logs', `deploy/varve-${role}`)).not.toMatch(/"level":"(?:error|fatal)"/)
  })

  test('`helm test` puts a file and reads it back, and leaves nothing', async () => {
    const { ok, stdout, stderr } = await varve.helm('test', 'varve', '--logs')
    expect(ok, `${stdout}${stderr}`).toBe(true)
    expect(stdout).toContain('a file was put and read back')
    expect(varve.objects('pods', 'app.kubernetes.io/component=test')).toEqual([])
  })

  test('the scheduler may do in Kubernetes what keeping pools takes, and no more; the others nothing', () => {
    const may = (verb: string, what: string, account = 'varve'): boolean => {
      const as = `--as=system:serviceaccount:${varve.namespace}:${account}`
      return varve.asks('auth', 'can-i', verb, what, as)
    }
    for (const what of ['deployments.apps', 'secrets', 'networkpolicies.networking.k8s.io'])
      for (const verb of ['list', 'create', 'delete']) expect(may(verb, what), what).toBe(true)
    expect(may('get', 'configmaps/varve-pools-anchor')).toBe(true)
    const forbidden = [
      'list configmaps',
      'create pods',
      'create pods/exec',
      'list nodes',
      'create roles',
    ]
    for (const one of forbidden) {
      const [verb = '', what = ''] = one.split(' ')
      expect(may(verb, what), one).toBe(false)
    }
    expect(may('list', 'pods', 'default')).toBe(false)
  })

  test('the scheduler keeps pools: what workers may reach is laid down before there are any', async () => {
    const policy = await vi.waitFor(() => {
      const given = 'networkpolicy,deployment'
      const made = varve.objects(given, 'varve.dev/installation=varve')
      expect(made, varve.describe()).toHaveLength(1)
      return made[0] ?? ''
    }, WAIT)
    const owner = 'jsonpath={.metadata.ownerReferences[*].kind}/{.metadata.ownerReferences[*].name}'
    expect(varve.kubectl('get', policy, '-o', owner)).toBe('ConfigMap/varve-pools-anchor')
    const { items } = await varve.client.call('GET /projects/:project/pools', {
      params: { project: REPO.project },
    })
    expect(items).toEqual([])
  })

  test('a file is put and read back, and what is acknowledged outlives the pods that took it', async () => {
    await varve.client.call('POST /projects/:project/repos', {
      params: { project: REPO.project },
      body: { name: REPO.repo },
    })
    const [first] = varve.pods('api')
    const acknowledged: string[] = []
    for (let n = 0; n < PUTS; n++) {
      if (n === PUTS / 2)
        varve.kubectl('delete', 'pod', first ?? '', '--wait=false', '--grace-period=1')
      // Repeated under its key until it is acknowledged, as any client does.
      const key = newKey()
      await vi.waitFor(() => put(`/${n}`, key), WAIT)
      acknowledged.push(`/${n}`)
    }
    await vi.waitFor(() => expect(varve.pods('api')).not.toContain(first), WAIT)
    for (const path of acknowledged) expect(await get(path)).toBe(`of ${path}`)
    const commits = await Array.fromAsync(
      varve.client.pages((after) =>
        varve.client.call('GET /projects/:project/repos/:repo/commits', {
          params: REPO,
          query: { after },
        }),
      ),
    )
    expect(commits, 'a repeated put is one commit').toHaveLength(PUTS)
  })

  test('the main job: topic to topic through pods that come with the work and go without it', async () => {
    const feed = {
      kafka: varve.kafka.address,
      from: 'feed-in',
      to: 'feed-out',
      records: RECORDS,
      replication: 1,
      image: varve.image,
    }
    const workers = (): readonly string[] => varve.objects('pods', 'varve.dev/pool')
    expect(workers()).toEqual([])
    await createTopics(feed)
    await produce(feed, 0)
    await applyFeed(varve.client, feed, RECORDS / 4)
    await vi.waitFor(() => expect(workers().length).toBeGreaterThan(0), WAIT)
    await drained(varve.client, RECORDS, DRAIN_MS)
    const wrong = [
      ...checkDelivery(await verify(feed), 0),
      ...(await judgeFeed(varve.client, feed)),
    ]
    expect(wrong).toEqual([])
    await vi.waitFor(() => expect(workers()).toEqual([]), WAIT)
    for (const role of ROLES)
      expect(varve.kubectl('logs', `deploy/varve-${role}`)).not.toMatch(/"level":"fatal"/)
  })

  test('uninstalling leaves nothing but the secrets that were there before', async () => {
    const { ok, stderr } = await varve.helm('uninstall', 'varve')
    expect(ok, stderr).toBe(true)
    const kinds =
      'all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,pdb,leases'
    await vi.waitFor(() => {
      expect(varve.objects(kinds).toSorted()).toEqual([
        'configmap/kube-root-ca.crt',
        'secret/varve',
        'secret/varve-s3',
        'serviceaccount/default',
      ])
    }, WAIT)
  })
})

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly labels: Readonly<Record<string, string>> }
    readonly status: {
      readonly containerStatuses?: readonly {
        readonly ready: boolean
        readonly restartCount: number
      }[]
    }
  }[]
}
