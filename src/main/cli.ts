#!/usr/bin/env node
// The command line's entry: every command of src/cli, and `dev`, which only this room can wire.

import { enableCompileCache } from 'node:module'

// Compiled code is kept between runs (in the system's temporary folder): a command then starts in a
// fifth of the time. It must come before what it is to cache, hence the imports below.
enableCompileCache()
// Writes mostly wait for the disk: four threads, the default, would let four of them wait at once.
process.env['UV_THREADPOOL_SIZE'] ??= '16'
const { runCli } = await import('../cli/cli.ts')
const { addDev } = await import('./dev.ts')
const { VERSION } = await import('./version.ts')

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
