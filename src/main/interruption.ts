// What the signals of the system do to a command: the first asks it to end, the second ends it.

export class Interruption {
  readonly #asked = new AbortController()
  #secondCode = 130
  #endCode: number | undefined

  /** Aborted by the first Ctrl-C or SIGTERM. */
  get signal(): AbortSignal {
    return this.#asked.signal
  }

  /** For a program that serves: asked to end it drains, and being told twice is a failure. */
  serves(): void {
    this.#secondCode = 1
    this.#endCode = 1
  }

  /** It was asked to end, and did, in order. */
  endedWell(): void {
    this.#endCode = 0
  }

  /** The exit code, given the command line's own. */
  codeOf(code: number): number {
    return this.signal.aborted ? (this.#endCode ?? code) : code
  }

  listen(): void {
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.on(name, () => {
        if (this.signal.aborted) process.exit(this.#secondCode)
        this.#asked.abort()
      })
  }
}
