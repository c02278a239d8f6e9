// Java's .properties files, by the rules of java.util.Properties.

/** Settings in the order they stand; of one name the last counts. */
export function parseProperties(text: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const [, name = '', value = ''] = PARTS.exec(line) ?? []
    settings.set(unescape(name), unescape(value))
  }
  return settings
}

/** A name ends at the first `=`, `:` or space that is not escaped. */
const PARTS = /^((?:\\[^]|[^\\=:\s])*)(?:[ \t\f]*[=:][ \t\f]*|[ \t\f]+|$)([^]*)$/

/** Lines without comments and blanks; an odd number of backslashes at its end joins the next one. */
function* logicalLines(text: string): Generator<string> {
  let joined: string | undefined
  for (const natural of text.split(/\r\n|\r|\n/)) {
    const line = natural.replace(/^[ \t\f]+/, '')
    if (joined === undefined && (line === '' || line.startsWith('#') || line.startsWith('!')))
      continue
    const whole: string = (joined ?? '') + line
    const backslashes = line.length - line.replace(/\\+$/, '').length
    if (backslashes % 2 === 1) {
      joined = whole.slice(0, -1)
      continue
    }
    joined = undefined
    yield whole
  }
  if (joined !== undefined && joined !== '') yield joined
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|[^])/g, (_, what: string) =>
    what.length === 5
      ? String.fromCharCode(Number.parseInt(what.slice(1), 16))
      : (ESCAPES[what] ?? what),
  )
}
