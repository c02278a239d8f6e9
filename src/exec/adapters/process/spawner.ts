// The spawner: a small process that starts user code for the server. A spawn blocks its process for a
// time that grows with that process's memory (a fork copies page tables), so the server never spawns.
// It lives exactly as long as its parent: when the channel closes it kills every group and ends.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import process from 'node:process'
import type { Readable } from 'node:stream'
import { LineCutter } from './lines.ts'
import type { FromSpawner, RunMessage, ToSpawner } from './messages.ts'

/** How long output may still flow after the group was killed: a child that left the group may hold it. */
const DRAIN_MS = 500

const running = new Map<number, ChildProcess>()

function send(message: FromSpawner, sent?: () => void): void {
  if (process.connected) process.send?.(message, undefined, {}, () => sent?.())
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nobody of the group is left.
  }
}

function pass(id: number, stream: 'stdout' | 'stderr', from: Readable): void {
  const cutter = new LineCutter()
  const out = (lines: string[]): void => {
    if (lines.length === 0) return
    // The child waits while its lines are on the way: IPC itself has no bound.
    from.pause()
    send({ type: 'lines', id, stream, lines }, () => from.resume())
  }
  from.on('data', (bytes: Buffer) => out(cutter.take(bytes)))
  from.on('end', () => out(cutter.end()))
}

function start(message: RunMessage): void {
  const { id, timeoutMs } = message
  const child = spawn(message.file, message.args, {
    cwd: message.cwd,
    env: message.env,
    detached: true,
    stdio: [message.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  let timedOut = false
  let answered = false
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true
          killGroup(child)
        }, timeoutMs)
  const answer = (reply: FromSpawner): void => {
    if (answered) return
    answered = true
    clearTimeout(timer)
    running.delete(id)
    send(reply)
  }
  running.set(id, child)
  child.on('error', (error) => answer({ type: 'failed', id, message: error.message }))
  child.on('exit', () => {
    // Background children die with the main program.
    killGroup(child)
    setTimeout(() => {
      child.stdout?.destroy()
      child.stderr?.destroy()
    }, DRAIN_MS).unref()
  })
  child.on('close', (code, signal) => answer({ type: 'exit', id, code, signal, timedOut }))
  if (child.stdout) pass(id, 'stdout', child.stdout)
  if (child.stderr) pass(id, 'stderr', child.stderr)
  // A program need not read what it is fed.
  child.stdin?.on('error', () => {})
  child.stdin?.end(message.stdin)
}

process.on('message', (message: ToSpawner) => {
  if (message.type === 'run') {
    try {
      start(message)
    } catch (error) {
      send({ type: 'failed', id: message.id, message: (error as Error).message })
    }
  } else {
    const child = running.get(message.id)
    if (child) killGroup(child)
  }
})
process.on('disconnect', () => {
  for (const child of running.values()) killGroup(child)
  process.exit(0)
})
// Ctrl-C in a terminal reaches the whole foreground group; the server decides when this one ends.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
