import { describe, expect, test } from 'vitest'
import { containerEnds } from '../../../src/exec/adapters/kubernetes/container-causes.ts'
import { causeOfPod } from '../../../src/exec/adapters/kubernetes/pod-causes.ts'
import type { PodState } from '../../../src/exec/adapters/kubernetes/pod-causes.ts'
import { causeOfPool, causeOfRefusal } from '../../../src/exec/adapters/kubernetes/pool-causes.ts'
import type {
  ContainerStatus,
  Deployment,
  Event,
  Pod,
} from '../../../src/exec/adapters/kubernetes/objects.ts'

const CREATED = '2026-11-22T18:00:00Z'
const nowMs = Date.parse(CREATED) + 5_000
const given = { events: [] as Event[], nowMs, slowMs: 30_000 }

function podOf(status: Pod['status'], metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    metadata: { name: 'pool-a-7d9c5-x2x4k', uid: 'u1', creationTimestamp: CREATED, ...metadata },
    spec: {
      nodeName: 'node-1',
      initContainers: [{ name: 'tools', image: 'varve:1' }],
      containers: [
        { name: 'user', image: 'shop/count:7', resources: { limits: { memory: '64Mi' } } },
        { name: 'agent', image: 'varve:1' },
      ],
    },
    ...(status === undefined ? {} : { status }),
  }
}

function waiting(reason: string, message: string, more: Partial<ContainerStatus> = {}): Pod {
  return podOf({
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'True' }],
    containerStatuses: [
      { name: 'user', ready: false, state: { waiting: { reason, message } }, ...more },
      { name: 'agent', ready: false, state: { waiting: { reason: 'PodInitializing' } } },
    ],
  })
}

function unschedulable(message: string): Pod {
  return podOf({
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
  })
}

function disrupted(reason: string, message = ''): Pod {
  return podOf(
    {
      phase: 'Running',
      conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message }],
    },
    { deletionTimestamp: CREATED },
  )
}

const NO_HELP =
  'no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.'
const killed = { terminated: { exitCode: 137, reason: 'OOMKilled' } }

type Row = [string, Pod, PodState, string | undefined, string, string]
const rows: Row[] = [
  [
    'cpu',
    unschedulable(`0/1 nodes are available: 1 Insufficient cpu. ${NO_HELP}`),
    'waiting',
    'Unschedulable',
    'no node takes the pod: 0/1 nodes are available: 1 Insufficient cpu',
    'ask for less cpu',
  ],
  [
    'memory and cpu',
    unschedulable(
      '0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: none.',
    ),
    'waiting',
    'Unschedulable',
    '2 Insufficient memory',
    'ask for less cpu and memory',
  ],
  [
    'gpu',
    unschedulable(`0/1 nodes are available: 1 Insufficient nvidia.com/gpu. ${NO_HELP}`),
    'waiting',
    'Unschedulable',
    '1 Insufficient nvidia.com/gpu',
    'add nodes that offer nvidia.com/gpu',
  ],
  [
    'selector',
    unschedulable(
      `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. ${NO_HELP}`,
    ),
    'waiting',
    'Unschedulable',
    "didn't match Pod's node affinity/selector",
    'mend nodeSelector',
  ],
  [
    'taint',
    unschedulable(
      '0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}. preemption: none.',
    ),
    'waiting',
    'Unschedulable',
    'untolerated taint',
    'name the taint "dedicated: gpu" in tolerations',
  ],
  [
    'cordoned',
    unschedulable('0/1 nodes are available: 1 node(s) were unschedulable. preemption: none.'),
    'waiting',
    'Unschedulable',
    'were unschedulable',
    'uncordon',
  ],
  [
    'image not there',
    waiting('ErrImagePull', 'failed to resolve reference "shop/count:7": not found'),
    'waiting',
    'ImageMissing',
    'image "shop/count:7" of container "user" cannot be pulled: failed to resolve',
    'check the name and tag',
  ],
  [
    'image never pulled',
    waiting(
      'ErrImageNeverPull',
      'Container image "shop/count:7" is not present with pull policy of Never',
    ),
    'waiting',
    'ImageMissing',
    'pull policy of Never',
    'check the name and tag',
  ],
  [
    'image not for us',
    waiting(
      'ImagePullBackOff',
      'Back-off pulling image "shop/count:7": pull access denied, repository does not exist or may require authorization',
    ),
    'waiting',
    'ImageMissing',
    'pull access denied',
    'pull secret',
  ],
  [
    'image name',
    waiting(
      'InvalidImageName',
      'Failed to apply default image tag "Shop/COUNT": couldn\'t parse image name',
    ),
    'waiting',
    'ImageNameInvalid',
    'is no name of an image',
    'in lower case',
  ],
  [
    'secret missing',
    waiting('CreateContainerConfigError', 'secret "db" not found'),
    'waiting',
    'SecretMissing',
    'container "user" waits: secret "db" is not there',
    'create it in the namespace',
  ],
  [
    'key missing',
    waiting('CreateContainerConfigError', "couldn't find key password in Secret team-a/db"),
    'waiting',
    'SecretMissing',
    'secret "db" has no key "password"',
    'add the key "password"',
  ],
  [
    'root',
    waiting(
      'CreateContainerConfigError',
      'container has runAsNonRoot and image will run as root (pod: "x", container: user)',
    ),
    'waiting',
    'RunsAsRoot',
    'image will run as root',
    'a numeric user other than 0',
  ],
  [
    'command not there',
    waiting(
      'RunContainerError',
      'failed to create containerd task: exec: "/app/run": stat /app/run: no such file or directory: unknown',
    ),
    'waiting',
    'ContainerRefused',
    'cannot be started',
    'check that the command is in the image',
  ],
  [
    'crash loop',
    waiting('CrashLoopBackOff', 'back-off 5m0s restarting failed container=user', {
      restartCount: 6,
      lastState: {
        terminated: { exitCode: 2, reason: 'Error', message: 'first\nno such module\n' },
      },
    }),
    'waiting',
    'Crashing',
    'ended 6 times, last with exit code 2: no such module',
    'read the log',
  ],
  [
    'agent in a crash loop',
    podOf({
      phase: 'Running',
      containerStatuses: [
        { name: 'user', ready: true },
        {
          name: 'agent',
          ready: false,
          restartCount: 3,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 5, message: 'cannot reach the API' } },
        },
      ],
    }),
    'failing',
    'AgentCrashing',
    'our own container "agent" ended 3 times, last with exit code 5: cannot reach the API',
    'kubectl logs pool-a-7d9c5-x2x4k -c agent --previous',
  ],
  [
    'what brings the runner in a crash loop',
    podOf({
      phase: 'Pending',
      initContainerStatuses: [
        {
          name: 'tools',
          restartCount: 2,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 1 } },
        },
      ],
    }),
    'waiting',
    'Crashing',
    'container "tools" ended 2 times, last with exit code 1',
    'read the log',
  ],
  [
    'evicted for what it wrote',
    podOf({
      phase: 'Failed',
      reason: 'Evicted',
      message: 'Usage of EmptyDir volume "work" exceeds the limit "16Mi". ',
    }),
    'ended',
    'Evicted',
    'Usage of EmptyDir volume "work" exceeds the limit "16Mi"',
    'resources.disk',
  ],
  [
    'crash loop for memory',
    waiting('CrashLoopBackOff', 'back-off', { restartCount: 2, lastState: killed }),
    'waiting',
    'OutOfMemory',
    'killed at its memory limit of 64Mi',
    'raise resources.memory',
  ],
  [
    'out of memory a moment ago',
    podOf({ phase: 'Running', containerStatuses: [{ name: 'user', ready: false, state: killed }] }),
    'failing',
    'OutOfMemory',
    'memory limit of 64Mi',
    'raise resources.memory',
  ],
  [
    'pod over, out of memory',
    podOf({ phase: 'Failed', containerStatuses: [{ name: 'user', ready: false, state: killed }] }),
    'ended',
    'OutOfMemory',
    'memory limit of 64Mi',
    'raise resources.memory',
  ],
  [
    'evicted for disk',
    podOf({
      phase: 'Failed',
      reason: 'Evicted',
      message:
        'The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 1Gi. ',
    }),
    'ended',
    'Evicted',
    'node "node-1" put the pod out: The node was low on resource: ephemeral-storage',
    'resources.disk',
  ],
  [
    'evicted for memory',
    podOf({
      phase: 'Failed',
      reason: 'Evicted',
      message:
        'The node was low on resource: memory. Container user was using 2Gi, request is 64Mi',
    }),
    'ended',
    'Evicted',
    'low on resource: memory',
    'resources.memory',
  ],
  [
    'drained',
    disrupted('EvictionByEvictionAPI', 'Eviction API: evicting'),
    'leaving',
    'Evicted',
    'is being drained',
    'tried again',
  ],
  [
    'node lost',
    disrupted('DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint'),
    'leaving',
    'NodeLost',
    'node "node-1" is lost',
    'tried again',
  ],
  [
    'on a node that is silent',
    podOf({
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [
        { name: 'user', ready: true },
        { name: 'agent', ready: true },
      ],
    }),
    'failing',
    'NodeLost',
    'nothing is heard of node "node-1"',
    'look at the node',
  ],
  [
    'preempted',
    disrupted('PreemptionByScheduler'),
    'leaving',
    'Preempted',
    'higher priority',
    'priority class',
  ],
  [
    'node shut down',
    podOf({
      phase: 'Failed',
      reason: 'Terminated',
      message: 'Pod was terminated in response to imminent node shutdown.',
    }),
    'ended',
    'Evicted',
    'imminent node shutdown',
    'tried again',
  ],
  [
    'stopped by the node, which does not say why',
    podOf({ phase: 'Succeeded' }),
    'ended',
    'Evicted',
    'node "node-1" put the pod out: no message',
    'tried again',
  ],
  [
    'refused by the node',
    podOf({
      phase: 'Failed',
      reason: 'OutOfcpu',
      message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 900",
    }),
    'ended',
    'PodRefused',
    "didn't have enough resource: cpu",
    'another is made',
  ],
  [
    'deleted by somebody',
    podOf({ phase: 'Running' }, { deletionTimestamp: CREATED }),
    'leaving',
    'Deleted',
    'somebody deleted pod "pool-a-7d9c5-x2x4k"',
    'another is made',
  ],
  [
    'starting',
    waiting('ContainerCreating', ''),
    'starting',
    'Starting',
    'starting since 5 s',
    'wait',
  ],
  [
    'running',
    podOf({
      phase: 'Running',
      containerStatuses: [
        { name: 'user', ready: true },
        { name: 'agent', ready: true },
      ],
    }),
    'running',
    undefined,
    '',
    '',
  ],
  [
    'running again after it was killed for memory once',
    podOf({
      phase: 'Running',
      containerStatuses: [{ name: 'user', ready: true, lastState: killed }],
    }),
    'running',
    undefined,
    '',
    '',
  ],
]

describe('a pod', () => {
  test.each(rows)('%s', (_, pod, state, reason, cause, remedy) => {
    const told = causeOfPod(pod, given)
    expect([told.state, told.cause?.reason]).toEqual([state, reason])
    if (told.cause === undefined) return
    expect(told.cause.cause).toContain(cause)
    expect(told.cause.remedy).toContain(remedy)
    expect(told.cause.cause + told.cause.remedy).not.toMatch(/undefined|\.$|\n/)
  })

  test('that we took ourselves needs no cause', () => {
    const pod = podOf({ phase: 'Running' }, { deletionTimestamp: CREATED })
    const told = causeOfPod(pod, { ...given, retired: new Set([pod.metadata.name]) })
    expect(told).toEqual({ state: 'leaving', cause: undefined })
  })

  const event = (reason: string, message: string, uid = 'u1'): Event => ({
    metadata: { name: 'e' },
    reason,
    message,
    involvedObject: { kind: 'Pod', name: 'pool-a-7d9c5-x2x4k', uid },
  })

  test.each([
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "s" : secret "db" not found',
      'SecretMissing',
      'secret "db" is not there',
    ],
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "db" : references non-existent secret key: password',
      'SecretMissing',
      'has no key "password"',
    ],
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "data" : mount failed: exit status 32',
      'VolumeMissing',
      'exit status 32',
    ],
    [
      'FailedCreatePodSandBox',
      'Failed to create pod sandbox: plugin type="bridge" failed',
      'VolumeMissing',
      'plugin type="bridge"',
    ],
  ])('that is being created tells by its event %s: %s', (reason, message, expected, text) => {
    const told = causeOfPod(waiting('ContainerCreating', ''), {
      ...given,
      events: [event(reason, message)],
    })
    expect(told.cause?.reason).toBe(expected)
    expect(told.cause?.cause).toContain(text)
  })

  // The kubelet says "Succeeded" without a reason of a pod it put out, if its containers end with code 0.
  test.each([
    ['still running', podOf({ phase: 'Running' }), 'failing'],
    ['over', podOf({ phase: 'Succeeded' }), 'ended'],
    ['on its way out', podOf({ phase: 'Succeeded' }, { deletionTimestamp: CREATED }), 'leaving'],
  ])('that is put out tells by its event why: %s', (_, pod, state) => {
    const message = 'Pod ephemeral local storage usage exceeds the total limit of containers 16Mi. '
    const told = causeOfPod(pod, { ...given, events: [event('Evicted', message)] })
    expect(told).toMatchObject({
      state,
      cause: {
        reason: 'Evicted',
        cause:
          'node "node-1" put the pod out: Pod ephemeral local storage usage exceeds the total limit of containers 16Mi',
        remedy: expect.stringContaining('resources.disk'),
      },
    })
    const older = causeOfPod(pod, { ...given, events: [event('Evicted', message, 'another')] })
    expect(older.cause?.cause ?? '').not.toContain('16Mi')
  })

  test('events of an older pod of the same name say nothing', () => {
    const events = [event('FailedMount', 'secret "db" not found', 'another')]
    expect(causeOfPod(waiting('ContainerCreating', ''), { ...given, events }).cause?.reason).toBe(
      'Starting',
    )
  })

  test('starting slowly names the image it pulls', () => {
    const late = {
      ...given,
      nowMs: nowMs + 60_000,
      events: [event('Pulling', 'Pulling image "shop/count:7"')],
    }
    expect(causeOfPod(waiting('ContainerCreating', ''), late).cause).toMatchObject({
      reason: 'StartingSlowly',
      cause: 'pod "pool-a-7d9c5-x2x4k" has been starting for 65 s: Pulling image "shop/count:7"',
    })
  })
})

test('each end of a container of a pod that goes on is told once, with its time', () => {
  const finishedAt = '2026-11-22T18:01:00Z'
  const over = { exitCode: 137, reason: 'OOMKilled', finishedAt }
  const status = (state: object, more: object = {}): Pod =>
    podOf({ phase: 'Running', containerStatuses: [{ name: 'user', ...state, ...more }] })
  const [ended] = containerEnds(status({ state: { terminated: over } }))
  expect(ended).toMatchObject({
    atMs: Date.parse(finishedAt),
    cause: { reason: 'OutOfMemory', cause: expect.stringContaining('limit of 64Mi') },
  })
  // Begun again: the same end, seen a second time.
  const [again] = containerEnds(
    status({ state: { running: {} } }, { lastState: { terminated: over } }),
  )
  expect(again?.key).toBe(ended?.key)
  const second = { ...over, finishedAt: '2026-11-22T18:02:00Z' }
  expect(containerEnds(status({ lastState: { terminated: second } }))[0]?.key).not.toBe(ended?.key)
  expect(containerEnds(status({ lastState: { terminated: { exitCode: 0 } } }))).toEqual([])
})

describe('a pool', () => {
  const deployment = (replicas: number, failure?: string): Deployment => ({
    metadata: { name: 'pool-a' },
    spec: { replicas },
    status: {
      conditions:
        failure === undefined
          ? []
          : [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: failure }],
    },
  })
  const ready = podOf({ phase: 'Running', containerStatuses: [{ name: 'user', ready: true }] })

  test('without work is idle, with all pods runs, and needs no cause', () => {
    const none = { ...given, quotas: [] }
    expect(causeOfPool(deployment(0), [], none)).toEqual({ state: 'idle', cause: undefined })
    expect(causeOfPool(deployment(1), [ready], none)).toEqual({
      state: 'running',
      cause: undefined,
    })
  })

  test('a used up quota is named, with what it holds', () => {
    const quotas = [
      { metadata: { name: 'team' }, status: { hard: { pods: '2' }, used: { pods: '2' } } },
    ]
    const message =
      'pods "pool-a-7d9c5-" is forbidden: exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2'
    const told = causeOfPool(deployment(2, message), [ready], { ...given, quotas })
    expect(told).toMatchObject({
      state: 'partly',
      cause: {
        reason: 'QuotaReached',
        cause:
          'the namespace allows no more pods: exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2 (now pods 2 of 2)',
      },
    })
    expect(told.cause?.remedy).toContain('ResourceQuota "team"')
  })

  test('a trouble comes before a start, the newest first', () => {
    const pods = [waiting('ContainerCreating', ''), waiting('ErrImagePull', 'not found'), ready]
    const told = causeOfPool(deployment(3), pods, { ...given, quotas: [] })
    expect([told.state, told.cause?.reason]).toEqual(['partly', 'ImageMissing'])
  })
})

test.each([
  [
    'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "user" must set securityContext.allowPrivilegeEscalation=false)',
    'PodRefused',
    'allow "baseline"',
  ],
  [
    'pods "a" is forbidden: failed quota: team: must specify limits.cpu for: agent',
    'QuotaReached',
    'name limits.cpu for: agent in resources',
  ],
  [
    'pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
    'PodRefused',
    'a limit range',
  ],
])('the API server says: %s', (message, reason, remedy) => {
  const told = causeOfRefusal(message)
  expect(told.reason).toBe(reason)
  expect(told.cause).not.toContain('is forbidden')
  expect(told.remedy).toContain(remedy)
})
