// Runs user code in the container beside this one. The runner there does the work (runner.sh); here its
// replies and the code's output are heard, the time is watched, and a runner that went away is found out.
// Invariants:
// - one command at a time; the next begins when the runner said that nobody is left of the last, and all
//   of its output was read;
// - when the container ends in the middle the code was killed with it; when the runner is not there, or
//   does not do what it must, that is nobody's code's fault: UNAVAILABLE, and whoever has the work tries
//   again.

import { assert } from '../../../base/assert.ts'
import { VarveError } from '../../../base/errors.ts'
import type { CodeDigest, Exit, RunRequest, Runner, TakeLine } from '../../runner.ts'
import { BYE } from './pod-protocol.ts'
import { PodRun, away } from './pod-run.ts'
import { RunnerLink } from './runner-link.ts'

/** A container that fails again and again is started after waits that grow up to five minutes. */
const RESTART_MS = 360_000

export class PodRunner implements Runner {
  readonly mountsPfs = true
  readonly #pipes: string
  #link: RunnerLink
  #busy = false

  private constructor(pipes: string, link: RunnerLink) {
    this.#pipes = pipes
    this.#link = link
  }

  /** Waits until the runner is there. @throws the signal's reason */
  static async open(options: { pipes: string }, signal: AbortSignal): Promise<PodRunner> {
    return new PodRunner(options.pipes, await RunnerLink.open(options.pipes, signal))
  }

  identify(): Promise<CodeDigest> {
    return Promise.reject(
      new VarveError('CODE_FAILED', 'cannot identify code in a pod: what it runs is its image'),
    )
  }

  async run(request: RunRequest, line: TakeLine, signal: AbortSignal): Promise<Exit> {
    assert(!this.#busy, 'a pod runs one command at a time')
    this.#busy = true
    try {
      if (signal.aborted) return { code: null, signal: 'SIGKILL', timedOut: false }
      if (this.#link.ended) await this.#reconnect(signal)
      return await new PodRun(this.#link, request, line).run(signal)
    } catch (error) {
      if (signal.aborted && this.#link.ended)
        return { code: null, signal: 'SIGKILL', timedOut: false }
      throw error
    } finally {
      this.#busy = false
    }
  }

  async #reconnect(signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.timeout(RESTART_MS)
    try {
      this.#link = await RunnerLink.open(this.#pipes, AbortSignal.any([signal, patience]))
    } catch (error) {
      if (patience.aborted) throw away('it is not there again')
      throw error
    }
  }

  /** Ends the runner too. */
  close(): Promise<void> {
    this.#link.close(BYE)
    return Promise.resolve()
  }
}
