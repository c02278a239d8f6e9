import type { Handlers } from '../call.ts'
import type { Rivers } from '../river.ts'

type RiverRoutes = Pick<
  Handlers,
  'GET /projects/:project/graph' | 'GET /projects/:project/graph/live'
>

export function riverHandlers(rivers: Rivers): RiverRoutes {
  return {
    'GET /projects/:project/graph': ({ params: { project } }) => rivers.graph(project),
    'GET /projects/:project/graph/live': async function* ({ params: { project }, signal }) {
      for await (const { seq, event } of rivers.watch(project, signal))
        yield { id: String(seq), event: event.type, data: event }
    },
  }
}
