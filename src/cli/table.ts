// Aligned columns, two spaces between them, headers muted, nothing after the last cell.

import { stripVTControlCharacters } from 'node:util'
import { muted } from './words.ts'

export interface Column<T> {
  readonly header: string
  readonly text: (row: T) => string
  readonly right?: boolean
  /** Only with `-o wide`. */
  readonly wide?: boolean
}

/** Rows that set the widths; what comes later is padded to them and may stick out. */
const MEASURED_ROWS = 1000

/** Cells as columns see them: without colours, wide characters counted as one. */
function width(text: string): number {
  return [...stripVTControlCharacters(text)].length
}

export async function* tableLines<T>(
  rows: AsyncIterable<T> | Iterable<T>,
  columns: readonly Column<T>[],
  color: boolean,
): AsyncGenerator<string> {
  const headers = columns.map((column) => column.header)
  let widths: number[] | undefined
  let held: string[][] = []
  const flush = function* (): Generator<string> {
    widths ??= headers.map((header, i) =>
      Math.max(width(header), ...held.map((cells) => width(cells[i] ?? ''))),
    )
    for (const cells of held) yield line(cells, columns, widths)
    held = []
  }
  for await (const row of rows) {
    held.push(columns.map((column) => clean(column.text(row))))
    if (widths || held.length >= MEASURED_ROWS) {
      if (!widths) yield* withHeader()
      else yield* flush()
    }
  }
  if (!widths) yield* withHeader()

  function* withHeader(): Generator<string> {
    const lines = [...flush()]
    yield muted(line(headers, columns, widths ?? []), color)
    yield* lines
  }
}

function line<T>(
  cells: readonly string[],
  columns: readonly Column<T>[],
  widths: readonly number[],
): string {
  const padded = cells.map((cell, i) => {
    const gap = ' '.repeat(Math.max(0, (widths[i] ?? 0) - width(cell)))
    return columns[i]?.right ? gap + cell : cell + gap
  })
  return padded.join('  ').trimEnd()
}

/** Names and messages are somebody's: control characters must not reach the terminal. */
export function clean(text: string): string {
  // Our own colours are the one exception: what styleText wrote.
  // oxlint-disable-next-line no-control-regex
  return text.replace(/(?!\x1b\[\d+m)[\x00-\x1f\x7f-\x9f]/g, '�')
}
