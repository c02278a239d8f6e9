// The command line: every command of src/cli, and those that only this room can wire.

import { runCli } from '../cli/cli.ts'
import { addDev } from './dev.ts'
import { addDoctor, doctorArgs } from './doctor.ts'
import { addFsck } from './fsck.ts'
import { Interruption } from './interruption.ts'
import { addServe } from './serve.ts'
import { VERSION } from './version.ts'
import { addWork } from './work.ts'

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
