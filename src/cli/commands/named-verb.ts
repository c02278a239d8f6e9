import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import type { Act } from '../act.ts'

interface NamedVerb {
  readonly verb: string
  readonly words: string
  /** What is said when it is done: `paused egress`. */
  readonly done: string
  call(client: Client, at: { readonly project: string; readonly name: string }): Promise<unknown>
}

/** `varve <noun> <verb> <name>`: one request about what bears the name, one line of result. */
export function addNamedVerb(
  group: Command,
  act: Act,
  { verb, words, done, call }: NamedVerb,
): void {
  group
    .command(`${verb} <name>`)
    .description(words)
    .action(
      act(async (session, text: string) => {
        const at = session.name(text)
        await call(await session.client(), at)
        session.output.note(`${done} ${at.name}`)
      }),
    )
}
