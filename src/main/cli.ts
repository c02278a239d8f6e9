#!/usr/bin/env node
// The command line's entry: every command of src/cli, and those that only this room can wire.

import { enableCompileCache } from 'node:module'

// Compiled code is kept between runs (in the system's temporary folder): a command then starts in a
// fifth of the time. It must come before what it is to cache, hence the imports below.
enableCompileCache()
// Writes mostly wait for the disk: four threads, the default, would let four of them wait at once.
process.env['UV_THREADPOOL_SIZE'] ??= '16'
const { runCli } = await import('../cli/cli.ts')
const { addDev } = await import('./dev.ts')
const { addDoctor, doctorArgs } = await import('./doctor.ts')
const { addFsck } = await import('./fsck.ts')
const { Interruption } = await import('./interruption.ts')
const { addServe } = await import('./serve.ts')
const { VERSION } = await import('./version.ts')
const { addWork } = await import('./work.ts')

const interruption = new Interruption()
interruption.listen()
const { signal } = interruption

const world = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  nowMs: Date.now,
  signal,
}
const code = await runCli(doctorArgs(process.argv.slice(2)), {
  ...world,
  version: VERSION,
  extraCommands: [
    (program) => addDev(program, signal),
    (program) => addDoctor(program, world),
    (program) => addFsck(program, world),
    (program) => addServe(program, interruption),
    (program) => addWork(program, interruption),
  ],
})
process.exitCode = interruption.codeOf(code)
