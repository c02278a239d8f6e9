// The table of options as help and as a page of the documentation.

import { OPTIONS } from './options.ts'
import type { OptionSpec } from './options.ts'

const SPECS: readonly OptionSpec[] = Object.values(OPTIONS)

function placeholder({ type, choices }: OptionSpec): string {
  return choices ? choices.join('|') : type
}

function defaultText(spec: OptionSpec): string {
  if (spec.default === undefined) return ''
  if (spec.type === 'bytes') return `${Number(spec.default) / 2 ** 40}TiB`
  return String(spec.default)
}

/** Two aligned columns, one option a line. */
export function optionsHelp(): string {
  const heads = SPECS.map((spec) => `${spec.flag} <${placeholder(spec)}>`)
  const width = Math.max(...heads.map((head) => head.length))
  const lines = SPECS.map((spec, i) => {
    const shown = defaultText(spec)
    return `  ${heads[i]?.padEnd(width)}  ${spec.doc}${shown ? ` (default ${shown})` : ''} [${spec.env}]`
  })
  return `${lines.join('\n')}\n`
}

/** docs/options.md, whole. */
export function optionsPage(): string {
  const rows = SPECS.map((spec) => {
    const shown = defaultText(spec)
    const cell = shown ? `\`${shown}\`` : ''
    const values = spec.choices ? spec.choices.map((one) => `\`${one}\``).join(', ') : spec.type
    return `| \`${spec.flag}\` | \`${spec.env}\` | ${values} | ${cell} | ${spec.doc} |`
  })
  return [
    '# Options of a server',
    '',
    'Generated from `src/config/options.ts`. A flag wins over a variable, a variable over the default.',
    'A variable that begins with `VARVE_` and is not listed here is refused, with the nearest name.',
    '',
    '| flag | variable | value | default | what it does |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}
