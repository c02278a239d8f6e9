// The table of options as help of a program and as a page of the documentation.

import { OPTIONS, hasFlag, optionsOf } from './options.ts'
import type { OptionSpec, Program } from './options.ts'

function placeholder({ type, choices }: OptionSpec): string {
  return type === 'choice' ? (choices ?? []).join('|') : type
}

function defaultText(spec: OptionSpec): string {
  if (spec.default === undefined) return ''
  if (spec.type === 'bytes') return bytesText(Number(spec.default))
  if (Array.isArray(spec.default)) return spec.default.join(',')
  return String(spec.default)
}

/** Whole, in the largest unit it is whole in. */
function bytesText(bytes: number): string {
  const units = ['', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = units.findLastIndex((_, i) => bytes >= 1024 ** i && bytes % 1024 ** i === 0)
  return `${bytes / 1024 ** Math.max(power, 0)}${units[power] ?? ''}`
}

export interface OptionHelp {
  /** `--port <port>`, or the variable alone where there is no flag. */
  readonly head: string
  readonly text: string
  readonly hasFlag: boolean
}

/** Help of a program, an option a line, in the order of the table. */
export function helpOf(program: Program): OptionHelp[] {
  return optionsOf(program).map(([, spec]) => {
    const shown = defaultText(spec)
    const ofDefault = shown ? ` (default ${shown})` : ''
    const required = spec.requiredBy?.includes(program) ? ' (required)' : ''
    const flag = hasFlag(spec, program)
    const env = spec.secret ? `${spec.env}, ${spec.env}_FILE` : spec.env
    return {
      head: flag ? `${spec.flag} <${placeholder(spec)}>` : env,
      text: `${spec.doc}${ofDefault}${required}${flag ? ` [${env}]` : ''}`,
      hasFlag: flag,
    }
  })
}

/** docs/options.md, whole. */
export function optionsPage(): string {
  const rows = Object.values(OPTIONS).map((spec: OptionSpec) => {
    const shown = defaultText(spec)
    const standard = spec.requiredBy
      ? spec.requiredBy.length < spec.for.length
        ? `required by ${spec.requiredBy.map((one) => `\`${one}\``).join(', ')}`
        : 'required'
      : shown
        ? `\`${shown}\``
        : ''
    const values = spec.choices ? spec.choices.map((one) => `\`${one}\``).join(', ') : spec.type
    const flag = spec.for.some((program) => hasFlag(spec, program)) ? `\`${spec.flag}\`` : ''
    const programs = spec.for.map((program) => `\`${program}\``).join(', ')
    const secret = spec.secret ? ', `…_FILE`' : ''
    return `| ${flag} | \`${spec.env}\`${secret} | ${programs} | ${values} | ${standard} | ${spec.doc} |`
  })
  return [
    '# Options of a server',
    '',
    'Generated from `src/config/options.ts`. `of` says which program takes it: `varve dev` (all in one',
    'process), `varve serve` (a process of a cluster), `varve work` (a worker). A flag wins over a variable,',
    'a variable over the default. A list is written with commas. A variable that begins with `VARVE_` and is',
    'not listed here is refused, with the nearest name.',
    '',
    'Secrets are given by their variable, or in a file that the variable with `_FILE` behind it names; a',
    'cluster takes none by flag, because everybody on a machine can read those.',
    '',
    '| flag | variable | of | value | default | what it does |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}
