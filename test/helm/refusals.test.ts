// Values that cannot be right are refused before anything is changed, by a message that names them.
import { beforeAll, describe, expect, test } from 'vitest'
import { CHART, helm, helmAvailable, helmBinary } from '../services/helm.ts'
import { template } from './rendered.ts'

const BUILD_MS = 900_000
beforeAll(async () => {
  if (helmAvailable) await helmBinary()
}, BUILD_MS)

describe.skipIf(!helmAvailable)('helm: bad values', () => {
  test.each([
    ['a name nobody knows', 'replicas=3', 'replicas'],
    ['an option nobody knows', 'options.kafkaa=a:1', 'kafkaa'],
    ['an option that is a secret', 'options.token=secret', 'token'],
    ['an option the chart sets', 'options.roles=api', 'roles'],
    ['a role nobody knows', 'roles.worker.replicas=1', 'worker'],
    ['a word for a number', 'options.replication=three', 'replication'],
    ['a number out of bounds', 'options.replication=10', 'replication'],
    ['a number for a truth', 'options.s3PathStyle=1', 's3PathStyle'],
    ['a word that is not a choice', 'options.logLevel=loud', 'logLevel'],
    ['an empty list', 'options.kafka={}', 'kafka'],
    ['a fraction of a pod', 'roles.api.replicas=1.5', 'replicas'],
    ['fewer pods than none', 'roles.api.replicas=-1', 'replicas'],
    ['root', 'pod.runAsUser=0', 'runAsUser'],
    ['a digest that is none', 'image.digest=latest', 'digest'],
    ['the value of a secret', 'secrets.server.token=abc', 'token'],
    ['an amount of a resource in a wrong place', 'roles.log.resources.memory=1Gi', 'memory'],
    ['an option without a value', 'options.cassandra=null', 'cassandra'],
    ['a secret of a number', 'secrets.kafka.existingSecret=7', 'existingSecret'],
    ['no secret', 'secrets.server.existingSecret=', 'secrets.server.existingSecret: is missing'],
    ['an option of another program', 'options.workers=4', 'options.workers: `varve serve` has no'],
    ['a setting of pools nobody knows', 'pools.cap.pods=1', 'cap'],
    ['a setting of pools the chart makes', 'pools.owner=me', 'owner'],
    ['an amount that is none', 'pools.caps.cluster.memory=64GB', 'memory'],
    ['half a price list', 'pools.prices.cpuHour=1', 'memoryGiBHour'],
    ['a kind of service nobody makes', 'pools.services.types={ExternalName}', 'types'],
    ['a door without a port', 'pools.allow[0].to.cidr=10.0.0.0/8', 'ports'],
    ['an ingress to nowhere', 'ingress.enabled=true', 'ingress.hosts: is empty'],
    ['a route from nowhere', 'httpRoute.enabled=true', 'httpRoute.parentRefs: is empty'],
  ])('%s', async (_what, set, named) => {
    const { ok, stderr } = await template('cluster', set)
    expect(ok, `${set} was taken`).toBe(false)
    expect(stderr).toContain(named)
  })

  test('a login that is given twice', async () => {
    const both = ['secrets.s3.existingSecret=s3', 'options.s3AccessKey=mine']
    const { stderr } = await template('cluster', ...both)
    expect(stderr).toContain('options.s3AccessKey: is given twice')
  })

  test('pools in a trial', async () => {
    const { stderr } = await template('embedded', 'pools.enabled=true')
    expect(stderr).toContain('pools.enabled: a trial runs pipelines in its own pod')
  })

  test('an option of a cluster in a trial', async () => {
    const { stderr } = await template('embedded', 'options.kafka=a:1')
    expect(stderr).toContain('options.kafka: `varve dev` has no such option')
  })

  test('without any values it names all that is missing at once, and the trial', async () => {
    const { ok, stderr } = await helm(['template', 'varve', CHART])
    expect(ok).toBe(false)
    const options = ['options.kafka', 'options.cassandra', 'options.s3Bucket']
    for (const name of [...options, 'secrets.server.existingSecret', 'embedded.enabled=true'])
      expect(stderr).toContain(name)
  })
})
