import { defineTable } from '../tables/schema.ts'

/**
 * How far a follower of the log has come; its version is the seq, so an owner that does not know yet
 * that it was replaced cannot set it back.
 */
export const CURSORS = defineTable({
  name: 'cursors',
  kind: 'facts',
  partition: ['follower', 'project'],
  clustering: ['generation'],
  columns: { follower: 'text', project: 'text', generation: 'int', seq: 'int' },
})

export const EVENTS_TABLES = [CURSORS] as const
