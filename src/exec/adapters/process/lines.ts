import { StringDecoder } from 'node:string_decoder'

const MAX_LINE_CHARS = 64 * 1024

/** Cuts a byte stream into lines; one over 64 KiB is cut and goes on as the next line. */
export class LineCutter {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  take(bytes: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.write(Buffer.from(bytes))).split('\n')
    this.#rest = lines.pop() ?? ''
    const cut = lines.flatMap(cutLine)
    while (this.#rest.length > MAX_LINE_CHARS) {
      cut.push(this.#rest.slice(0, MAX_LINE_CHARS))
      this.#rest = this.#rest.slice(MAX_LINE_CHARS)
    }
    return cut
  }

  /** What came after the last newline. */
  end(): string[] {
    const rest = this.#rest + this.#decoder.end()
    this.#rest = ''
    return rest === '' ? [] : cutLine(rest)
  }
}

function cutLine(line: string): string[] {
  if (line.length <= MAX_LINE_CHARS) return [line]
  const parts: string[] = []
  for (let at = 0; at < line.length; at += MAX_LINE_CHARS)
    parts.push(line.slice(at, at + MAX_LINE_CHARS))
  return parts
}
