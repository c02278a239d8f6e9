import type { Command } from 'commander'
import type { Session } from './session.ts'

/** Runs an action with a session made from the command's options. */
export type Act = <A extends unknown[]>(
  action: (session: Session, ...args: A) => Promise<void>,
) => (this: Command, ...args: A) => Promise<void>
