import type { PoolStatus } from '../../src/model/pool-status.ts'

export const HINDERED: PoolStatus = {
  pool: 'v-default-1a2b',
  project: 'default',
  pipelines: ['count'],
  image: 'registry/count:1',
  state: 'waiting',
  running: 0,
  replicas: 2,
  wanted: 4,
  cause: { reason: 'Unschedulable', cause: 'no node takes the pod', remedy: 'add nodes' },
  address: null,
  change: null,
  pods: [],
  ends: [],
}
