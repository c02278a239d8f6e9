// Every table there is: for whoever makes them, backs them up, or prints their schema.

import { EVENTS_TABLES } from '../events/tables.ts'
import { LOG_TABLES } from '../log/tables.ts'
import { OBJECTS_TABLES } from '../objects/upkeep/condemned.ts'
import { PIPELINES_TABLES } from '../pipelines/pipeline-service.ts'
import { LEASES } from '../tables/lease.ts'
import type { TableSpec } from '../tables/schema.ts'
import { VERSIONS_TABLES } from '../versions/tables.ts'
import { SETTINGS } from './settings.ts'

/** Of the embedded server: what one process needs. */
export const EMBEDDED_TABLES: readonly TableSpec[] = [
  ...LOG_TABLES,
  ...VERSIONS_TABLES,
  ...PIPELINES_TABLES,
  ...OBJECTS_TABLES,
  LEASES,
]

/** Of a cluster: also what its processes agree by. */
export const CLUSTER_TABLES: readonly TableSpec[] = [...EMBEDDED_TABLES, ...EVENTS_TABLES, SETTINGS]
