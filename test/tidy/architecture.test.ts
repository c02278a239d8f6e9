// The walls of the house: import directions, rooms without the outside world, names.
import { readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GUESTS, ROOMS } from './import-table.ts'

const ROOT = resolve(import.meta.dirname, '../..')

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes('node_modules'))
}

const code = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

/** Comments and strings blanked, so that words in them count for nothing. */
function bare(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g,
    (found) => found.replace(/[^\n]/g, ' '),
  )
}

function imports(text: string): string[] {
  const found: string[] = []
  for (const match of text.matchAll(
    /^\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm,
  ))
    found.push((match[1] ?? match[2] ?? match[3]) as string)
  return found
}

const roomOf = (file: string): string => file.split('/')[1] as string
const packageOf = (name: string): string =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')

const files = sources('src')

describe('tidy: rooms', () => {
  test('the rooms of src/ are those of the table', () => {
    const rooms = new Set(files.map(roomOf))
    expect([...rooms].filter((room) => !(room in ROOMS))).toEqual([])
    expect(files.length).toBeGreaterThan(100)
  })

  test('every import points along the table', () => {
    const wrong: string[] = []
    for (const file of files) {
      const room = roomOf(file)
      const rule = ROOMS[room]
      if (!rule || rule.may === 'all') continue
      for (const target of imports(code(file))) {
        if (target.startsWith('.')) {
          const to = relative(ROOT, resolve(ROOT, dirname(file), target))
          if (!to.startsWith('src/')) {
            wrong.push(`${file}: imports ${to}, outside src/`)
            continue
          }
          const other = roomOf(to)
          const adapterOfKafka =
            room === 'bus' && file.includes('/adapters/kafka') && other === 'kafka'
          if (![room, 'base', 'model', ...rule.may].includes(other) && !adapterOfKafka)
            wrong.push(`${file}: ${room} may not import ${other}`)
          if (other !== room && to.includes('/adapters/'))
            wrong.push(`${file}: only main and tests may import the adapter ${to}`)
        }
      }
    }
    expect(wrong).toEqual([])
  })

  test('vendor packages and node: modules appear only where the table lets them', () => {
    const wrong: string[] = []
    for (const file of files) {
      const room = roomOf(file)
      const rule = ROOMS[room]
      if (!rule) continue
      for (const target of imports(code(file))) {
        if (target.startsWith('.')) continue
        if (target.startsWith('node:')) {
          const allowed =
            (rule.kind === 'rim' && room !== 'console') ||
            file.endsWith('vite.config.ts') ||
            target === 'node:diagnostics_channel'
          if (!allowed) wrong.push(`${file}: ${room} may not import ${target}`)
        } else if (!rule.vendors?.includes(packageOf(target))) {
          wrong.push(`${file}: ${room} may not import the package ${target}`)
        }
      }
    }
    expect(wrong).toEqual([])
  })

  test('core rooms get time, chance and I/O given in', () => {
    const wrong: string[] = []
    for (const file of files) {
      if (ROOMS[roomOf(file)]?.kind !== 'core') continue
      bare(code(file))
        .split('\n')
        .forEach((line, i) => {
          for (const { pattern, instead } of GUESTS)
            if (pattern.test(line)) wrong.push(`${file}:${i + 1}: ${line.trim()} — ${instead}`)
        })
    }
    expect(wrong).toEqual([])
  })

  test('connectors import the door for authors and nothing else of ours', () => {
    const wrong: string[] = []
    for (const file of sources('connectors'))
      for (const target of imports(code(file))) {
        if (!target.startsWith('.')) continue
        const to = relative(ROOT, resolve(ROOT, dirname(file), target))
        const own = dirname(to) === dirname(file)
        const kafka = file.startsWith('connectors/kafka/') && to.startsWith('src/kafka/')
        if (to !== 'src/connector/mod.ts' && !own && !kafka) wrong.push(`${file}: imports ${to}`)
      }
    expect(wrong).toEqual([])
  })
})

describe('tidy: names and habits', () => {
  const all = [...files, ...sources('connectors'), ...sources('test'), ...sources('scripts')]

  test('no file is named after grammar instead of a noun', () => {
    const banned = /^(utils?|helpers?|common|misc|types|interfaces|constants)\.tsx?$/
    expect(all.filter((file) => banned.test(basename(file)))).toEqual([])
  })

  test('no default export, export *, inline type import, or enum', () => {
    const wrong: string[] = []
    for (const file of all) {
      if (file.endsWith('.config.ts')) continue // tools ask for a default export
      const text = bare(code(file))
      if (/^export default\b/m.test(text)) wrong.push(`${file}: default export`)
      if (/^export \*/m.test(text)) wrong.push(`${file}: export *`)
      if (/^import \{[^}]*\btype\s+\w/m.test(text)) wrong.push(`${file}: import { type X }`)
      if (/^\s*(export )?(const )?enum\b/m.test(text)) wrong.push(`${file}: enum`)
    }
    expect(wrong).toEqual([])
  })

  test('nothing names a package registry or a private network host', () => {
    const hosts = /registry\.npmjs|repo1?\.maven|pypi\.org|proxy\.golang|crates\.io|deb\.debian/
    const tracked = [...all, 'package.json', 'package-lock.json', '.ci/run', 'scripts/prepare.mjs']
    expect(
      tracked.filter((file) => file !== 'test/tidy/architecture.test.ts' && hosts.test(code(file))),
    ).toEqual([])
  })
})
