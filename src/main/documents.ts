// Fits the rooms of streams and events to what the server asks for.

import type { Connector } from '../connector/mod.ts'
import { readEgressDocument } from '../egress/spec.ts'
import { publicEvents } from '../events/public-events.ts'
import type { EventsOf, StreamDocuments } from '../server/context.ts'
import { readSpoutDocument } from '../spouts/spec.ts'

export function streamDocuments(connectors: readonly Connector[]): StreamDocuments {
  return {
    spoutPut: (document) => readSpoutDocument(document, connectors),
    egressPut: (document) => readEgressDocument(document, connectors),
  }
}

export const eventViews: EventsOf = (project, entry) =>
  publicEvents(project, entry).map(({ id, type, subject, data }) => ({
    id,
    type,
    subject,
    atMs: entry.atMs,
    data,
  }))
