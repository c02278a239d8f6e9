// Spouts and egresses: their rows in the log, and what their hosts know now.

import type { EgressView } from '../../api/egresses.ts'
import type { SpoutView } from '../../api/spouts.ts'
import type { Egress, Spout } from '../../model/entities.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { pageByName, required } from '../find.ts'
import { egressView, spoutView } from '../views.ts'

type SpoutRoutes = Pick<
  Handlers,
  | 'GET /projects/:project/spouts'
  | 'GET /projects/:project/spouts/:spout'
  | 'POST /projects/:project/spouts/:spout/pause'
  | 'POST /projects/:project/spouts/:spout/resume'
  | 'DELETE /projects/:project/spouts/:spout'
>

type EgressRoutes = Pick<
  Handlers,
  | 'GET /projects/:project/egresses'
  | 'GET /projects/:project/egresses/:egress'
  | 'POST /projects/:project/egresses/:egress/pause'
  | 'POST /projects/:project/egresses/:egress/resume'
  | 'DELETE /projects/:project/egresses/:egress'
>

export function spoutHandlers({ versions, spouts }: Context): SpoutRoutes {
  const view = (project: string, row: Spout): SpoutView =>
    spoutView(row, spouts.status(project, row.name))
  async function find(project: string, name: string): Promise<Spout> {
    const row = await versions.spout(project, name)
    return required(versions, project, row, name, 'spout', versions.spouts(project))
  }
  return {
    'GET /projects/:project/spouts': ({ params: { project }, query }) =>
      pageByName(
        versions.spouts(project),
        query,
        (row) => row.name,
        (row) => view(project, row),
      ),
    'GET /projects/:project/spouts/:spout': async ({ params: { project, spout } }) =>
      view(project, await find(project, spout)),
    'POST /projects/:project/spouts/:spout/pause': async ({ params, request }) => {
      const { project, spout: name } = params
      await find(project, name)
      const cause = `paused by ${request.principal}`
      await versions.propose(project, [{ op: 'spout.set', name, state: 'paused', cause }], request)
      return view(project, await find(project, name))
    },
    'POST /projects/:project/spouts/:spout/resume': async ({ params, request }) => {
      const { project, spout: name } = params
      await find(project, name)
      const op = { op: 'spout.set', name, state: 'running', cause: null } as const
      await versions.propose(project, [op], request)
      return view(project, await find(project, name))
    },
    'DELETE /projects/:project/spouts/:spout': async ({ params, request }) => {
      const { project, spout: name } = params
      await find(project, name)
      await versions.propose(project, [{ op: 'spout.delete', name }], request)
    },
  }
}

export function egressHandlers({ versions, egresses }: Context): EgressRoutes {
  const view = (project: string, row: Egress): EgressView =>
    egressView(row, egresses.status(project, row.name))
  async function find(project: string, name: string): Promise<Egress> {
    const row = await versions.egress(project, name)
    return required(versions, project, row, name, 'egress', versions.egresses(project))
  }
  return {
    'GET /projects/:project/egresses': ({ params: { project }, query }) =>
      pageByName(
        versions.egresses(project),
        query,
        (row) => row.name,
        (row) => view(project, row),
      ),
    'GET /projects/:project/egresses/:egress': async ({ params: { project, egress } }) =>
      view(project, await find(project, egress)),
    'POST /projects/:project/egresses/:egress/pause': async ({ params, request }) => {
      const { project, egress: name } = params
      await find(project, name)
      const cause = `paused by ${request.principal}`
      await versions.propose(project, [{ op: 'egress.set', name, state: 'paused', cause }], request)
      return view(project, await find(project, name))
    },
    'POST /projects/:project/egresses/:egress/resume': async ({ params, request }) => {
      const { project, egress: name } = params
      await find(project, name)
      const op = { op: 'egress.set', name, state: 'running', cause: null } as const
      await versions.propose(project, [op], request)
      return view(project, await find(project, name))
    },
    'DELETE /projects/:project/egresses/:egress': async ({ params, request }) => {
      const { project, egress: name } = params
      await find(project, name)
      await versions.propose(project, [{ op: 'egress.delete', name }], request)
    },
  }
}
