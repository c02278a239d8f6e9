// Writes the golden store of the format as it is now: `node test/objects/golden/make.ts`. Once a format is
// released its store stays as it is, and a new one comes beside it.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeEngine } from '../fixture.ts'
import { writeGolden } from './contents.ts'

const folder = join(import.meta.dirname, 'format-1')
rmSync(folder, { recursive: true, force: true })
mkdirSync(join(folder, 'packs'), { recursive: true })
const { engine, blob } = makeEngine()
const golden = await writeGolden(engine)
for await (const { key } of blob.list(''))
  writeFileSync(join(folder, key), (await blob.get(key)) ?? new Uint8Array(0))
writeFileSync(join(folder, 'roots.json'), `${JSON.stringify(golden, null, 2)}\n`)
