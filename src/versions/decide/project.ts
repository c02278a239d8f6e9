import { DEFAULT_PROJECT, SYSTEM_PROJECT, isName } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import type { Stop, Transaction } from './transaction.ts'
import { refuse } from './transaction.ts'

/** Projects are recorded in the log of `_system`; nothing else is, and it has nothing else. */
export function createProject(
  tx: Transaction,
  op: Extract<Op, { op: 'project.create' }>,
): Stop | undefined {
  const { name } = op
  if (tx.view.project !== SYSTEM_PROJECT)
    return refuse(
      'INVALID_OPTION',
      `cannot create a project in "${tx.view.project}": projects are created in "${SYSTEM_PROJECT}"`,
    )
  if (!isName(name) || name.startsWith('_'))
    return refuse('INVALID_OPTION', `cannot use "${name}" as the name of a project`)
  if (name === DEFAULT_PROJECT || tx.view.projects.has(name))
    return refuse('ALREADY_EXISTS', `cannot create the project "${name}": it exists`)
  tx.record({ f: 'project.created', project: { name, createdAtMs: tx.at.atMs } })
  return undefined
}
