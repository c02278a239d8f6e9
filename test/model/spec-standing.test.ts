import { expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import type { VarveError } from '../../src/base/errors.ts'
import { specKind } from '../../src/model/spec.ts'
import { refuseUnsupported, unsupportedHere } from '../../src/model/spec-abilities.ts'
import type { Pods } from '../../src/model/spec-abilities.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { isStanding } from '../../src/model/spec-standing.ts'

// As people have them for Pachyderm.
const SERVICE = {
  pipeline: { name: 'board' },
  transform: { image: 'jupyter/minimal:1', cmd: ['start-notebook.sh'] },
  input: { pfs: { repo: 'sales', glob: '/' } },
  parallelism_spec: { constant: 1 },
  service: { internal_port: 8888, external_port: 30888, ip: '', type: 'NodePort' },
  metadata: { labels: { team: 'sales' } },
  datum_tries: '3',
  autoscaling: false,
  reprocess_spec: 'until_success',
  pod_patch: '',
}
const SPOUT = {
  pipeline: { project: { name: 'feeds' }, name: 'mail' },
  spout: {},
  transform: { image: 'feeds/mail:2', cmd: ['python', '/mail.py'], env: { HOST: 'mail' } },
}
const SERVING = { ...SPOUT, spout: { service: { internal_port: '9000', type: '' } } }

const FORCED = { parallelismSpec: { constant: 1 }, reprocessSpec: 'every_job', backlog: 'latest' }

test.each([
  [
    'a service',
    SERVICE,
    {
      service: { internalPort: 8888, externalPort: 30888, type: 'NodePort' },
      input: { pfs: { repo: 'sales', branch: 'master', name: 'sales', glob: '/' } },
      outputBranch: 'master',
    },
  ],
  ['a spout', SPOUT, { spout: {}, outputBranch: 'master' }],
  [
    'a spout that serves',
    SERVING,
    { spout: {}, service: { internalPort: 9000, externalPort: 9000, type: 'ClusterIP' } },
  ],
])('%s of Pachyderm is read, and its normal form is a fixed point', (_, document, normal) => {
  expect(specKind(document)).toBe('pipeline')
  const spec = parsePipelineDocument(document)
  expect(spec).toMatchObject({ ...FORCED, ...normal })
  expect(isStanding(spec)).toBe(true)
  expect('input' in spec).toBe(document === SERVICE)
  expect(parsePipelineDocument(JSON.parse(JSON.stringify(spec)))).toEqual(spec)
})

test('a service reads all of its input, whether its document says so or not', () => {
  const spec = parsePipelineDocument({ ...SERVICE, input: { pfs: { repo: 'sales' } } })
  expect(spec.input?.pfs.glob).toBe('/')
})

const service = (more: object): object => ({ service: { ...SERVICE.service, ...more } })
const served = (more: object): object => ({ spout: { service: { internal_port: 9000, ...more } } })

test.each([
  ['no port', SERVICE, { service: {} }, 'service.internalPort'],
  ['a port of root', SERVICE, service({ internal_port: 80 }), 'service.internal_port'],
  ['a port past the last', SERVICE, service({ internal_port: 65_536 }), 'service.internal_port'],
  ['an outer port past it', SERVICE, service({ external_port: 65_536 }), 'service.external_port'],
  ['an address', SERVICE, service({ ip: '10.0.0.1' }), 'service.ip'],
  ['another type', SERVICE, service({ type: 'ExternalName' }), 'service.type'],
  ['a misspelt field', SERVICE, service({ annotation: {} }), 'service.annotation'],
  [
    'our annotation',
    SERVICE,
    service({ annotations: { 'varve.dev/pool': 'x' } }),
    'service.annotations.varve.dev~1pool',
  ],
  ['another glob', SERVICE, { input: { pfs: { repo: 'sales', glob: '/*' } } }, 'input.pfs.glob'],
  ['two workers', SERVICE, { parallelism_spec: { constant: 2 } }, 'parallelism_spec'],
  ['every commit', SERVICE, { backlog: 'every' }, 'backlog'],
  ['a time for datums', SERVICE, { datum_timeout: '5m' }, 'datum_timeout'],
  ['a time for jobs', SPOUT, { job_timeout: '5m' }, 'job_timeout'],
  ['failed datums', SPOUT, { maxFailedDatums: 1 }, 'maxFailedDatums'],
  ['sets of datums', SERVICE, { datum_set_spec: { number: 5 } }, 'datum_set_spec'],
  ['an egress of nothing', SERVICE, { egress: { sink: { file: {} } } }, 'egress'],
  [
    'an error command',
    SPOUT,
    { transform: { ...SPOUT.transform, err_cmd: ['true'] } },
    'transform.err_cmd',
  ],
  ['an input', SPOUT, { input: { pfs: { repo: 'sales', glob: '/' } } }, 'input'],
  ['the branch of runs', SPOUT, { output_branch: 'runs' }, 'outputBranch'],
  ['what it serves twice', SERVING, { service: { internal_port: 9000 } }, 'spout.service'],
  ['the old pipe', SPOUT, { spout: { overwrite: true } }, 'spout.overwrite'],
  ['its port of root', SPOUT, served({ internal_port: 22 }), 'spout.service.internal_port'],
])('refused by name: %s', (_, base, more, field) => {
  const error = refusal(() => parsePipelineDocument({ ...base, ...more }))
  const last = field.split('.').at(-1)?.replaceAll('~1', '/') ?? ''
  expect(error.code).toBe('INVALID_SPEC')
  expect(camel(String(error.details?.['field']))).toBe(camel(field))
  expect(camel(error.message)).toContain(camel(last))
})

const PODS: Pods = {
  runs: 'pods',
  root: false,
  labelKeys: ['service.beta.kubernetes.io/*', 'team'],
  serviceTypes: ['ClusterIP', 'LoadBalancer'],
  prices: false,
}

test('code that does not end runs in pods only', () => {
  const here = { runs: 'process', user: undefined } as const
  const paths = (document: object): string[] =>
    unsupportedHere(parsePipelineDocument(document), here).map(({ path }) => path.join('.'))
  expect(paths(SERVICE)).toEqual(['service'])
  expect(paths(SERVING)).toEqual(['spout', 'service'])
  const error = refusal(() => refuseUnsupported(parsePipelineDocument(SPOUT), here, SPOUT))
  expect(error.message).toMatch(/"spout".*Kubernetes/)
})

test('the operator says which services there may be, and which of their annotations', () => {
  const annotated = (key: string): object => ({
    ...SERVING,
    spout: { service: { internal_port: 9000, annotations: { [key]: 'x' } } },
  })
  const lent = annotated('service.beta.kubernetes.io/aws-load-balancer-internal')
  expect(unsupportedHere(parsePipelineDocument(lent), PODS)).toEqual([])

  const own = annotated('example.com/owner')
  const unlisted = refusal(() =>
    refuseUnsupported(parsePipelineDocument(own), PODS, own as Record<string, unknown>),
  )
  expect(unlisted.details?.['pointer']).toBe('/spout/service/annotations/example.com~1owner')

  const port = refusal(() => refuseUnsupported(parsePipelineDocument(SERVICE), PODS, SERVICE))
  expect(port.details?.['pointer']).toBe('/service/type')
  expect(port.message).toContain('"NodePort" (allowed: ClusterIP, LoadBalancer)')
})

function camel(text: string): string {
  return text
    .replaceAll('~1', '/')
    .replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function refusal(act: () => unknown): VarveError {
  try {
    act()
  } catch (error) {
    if (isVarveError(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}
