// The command line against the server of a test, in this process.

import { runCli } from '../../src/cli/cli.ts'
import type { CliWorld } from '../../src/cli/session.ts'
import { TOKEN } from '../server/world.ts'

/** How it ended, and what it said. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** What is not given: no input, the server and its token, the root as folder, the clock's time. */
export interface RunOptions extends Partial<
  Pick<CliWorld, 'env' | 'cwd' | 'nowMs' | 'signal' | 'fetch' | 'partSizes'>
> {
  readonly stdin?: string | Uint8Array
}

class Text {
  readonly isTTY = false
  readonly #parts: Buffer[] = []

  write(chunk: string | Uint8Array): boolean {
    this.#parts.push(Buffer.from(chunk))
    return true
  }

  once(): void {}

  toString(): string {
    return Buffer.concat(this.#parts).toString('utf8')
  }
}

/** @param args as they are typed after `varve`, one space between any two */
export async function runAgainst(
  { url }: { readonly url: string },
  args: string,
  { stdin, ...how }: RunOptions = {},
): Promise<Ran> {
  const stdout = new Text()
  const stderr = new Text()
  const code = await runCli(args.split(' '), {
    stdout,
    stderr,
    stdin: (async function* () {
      if (stdin !== undefined) yield Buffer.from(stdin)
    })(),
    env: { VARVE_SERVER: url, VARVE_TOKEN: TOKEN },
    cwd: '/',
    nowMs: Date.now,
    signal: new AbortController().signal,
    version: '0.0.0-test',
    ...how,
  })
  return { code, out: stdout.toString(), err: stderr.toString() }
}
