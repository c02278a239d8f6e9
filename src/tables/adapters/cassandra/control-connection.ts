// The driver's own line to the cluster, on which it learns of nodes, kept from ending the process.
//
// cassandra-driver 4.10 may refresh it twice at once: after an outage of all nodes it sets its listeners
// both in `_initializeConnection` and in `_refresh`, so that one closed socket starts two refreshes.
// The later one takes host and connection away from the earlier one, which then fails with a TypeError
// inside a timer of the driver's, where nobody can catch it. Here one refresh runs at a time, and one
// that fails is begun again.

import type { Client } from 'cassandra-driver'

const AGAIN_MS = 1_000

/** What we touch of the driver's `ControlConnection`. */
export interface ControlConnection {
  readonly connection: { readonly connected?: boolean; closeAsync?(): Promise<void> } | null
  readonly _isShuttingDown: boolean
  shutdown?(): void
  /** With a plan: the going on of a refresh that runs; it must not wait for itself. */
  _refresh(plan?: unknown): Promise<void>
}

export function guardControlConnection(client: Client, say: (text: string) => void): void {
  const { controlConnection } = client as unknown as { controlConnection?: ControlConnection }
  if (typeof controlConnection?._refresh !== 'function') return
  oneRefreshAtATime(controlConnection, say)
}

/**
 * Ends a client in whatever state it is. One whose `connect` failed half way (no such data centre) keeps
 * its control connection open through `shutdown`, and with it the process alive.
 */
export async function endClient(client: Client): Promise<void> {
  await client.shutdown().catch(() => undefined)
  const { controlConnection: control } = client as unknown as {
    controlConnection?: ControlConnection
  }
  control?.shutdown?.()
  await control?.connection?.closeAsync?.().catch(() => undefined)
}

export function oneRefreshAtATime(control: ControlConnection, say: (text: string) => void): void {
  const refresh = control._refresh.bind(control)
  let running: Promise<void> | undefined
  let asked = false
  const run = async (): Promise<void> => {
    do {
      asked = false
      try {
        await refresh()
      } catch (error) {
        say(`the connection that hears of nodes could not be refreshed: ${String(error)}`)
        setTimeout(() => void control._refresh(), AGAIN_MS).unref()
      }
      // Whoever asked meanwhile saw a connection end; it may have been this one.
    } while (asked && !control._isShuttingDown && control.connection?.connected !== true)
    running = undefined
  }
  control._refresh = (plan) => {
    if (plan !== undefined) return refresh(plan)
    asked = running !== undefined
    running ??= run()
    return running
  }
}
