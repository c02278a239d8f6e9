#!/usr/bin/env node
// The command line's entry: every command of src/cli, and `dev`, which only this room can wire.

import { runCli } from '../cli/cli.ts'
import { addDev } from './dev.ts'
import { VERSION } from './version.ts'

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // The second one means it.
    if (interrupted.signal.aborted) process.exit(130)
    interrupted.abort()
  })

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  nowMs: Date.now,
  signal: interrupted.signal,
  version: VERSION,
  extraCommands: [(program) => addDev(program, interrupted.signal)],
})
