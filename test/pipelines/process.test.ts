// The same whole with real processes: what counts as an edit of the code, and what code may leave.

import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ProcessRunner } from '../../src/exec/adapters/process/runner.ts'
import { DiskScratch } from '../../src/exec/adapters/process/scratch.ts'
import { PROJECT, World, spec } from './world.ts'

let root: string
let runner: ProcessRunner
let world: World
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-world-'))
  runner = await ProcessRunner.open({
    codeRoot: root,
    path: process.env['PATH'] ?? '/usr/bin:/bin',
  })
  world = await World.open({ runner, scratch: new DiskScratch({ root: join(root, 'scratch') }) })
  await world.repo('in')
})
afterEach(async () => {
  await world.close()
  await runner.close()
  await rm(root, { recursive: true, force: true })
  expect(world.troubles).toEqual([])
})

const put = (script: string): Promise<void> => writeFile(join(root, 'run.sh'), script)

test('editing the script runs everything again, touching it nothing', async () => {
  await put('PFS=${PFS_ROOT:-/pfs}; tr a-z A-Z < "$in" > $PFS/out/${in##*/}\n')
  await world.put(spec('out', 'in', ['sh', 'run.sh']))
  const one = await world.commit('in', { a: 'a', b: 'b' })
  expect(await world.ended('out', one.id)).toMatchObject({ counts: { ran: 2 } })
  expect(await world.files('out')).toEqual({ a: 'A', b: 'B' })

  await utimes(join(root, 'run.sh'), new Date(1), new Date(1))
  const two = await world.commit('in', { c: 'c' })
  expect(await world.ended('out', two.id)).toMatchObject({ counts: { ran: 1, reused: 2 } })

  await put('PFS=${PFS_ROOT:-/pfs}; rev < "$in" > $PFS/out/${in##*/}\n')
  const three = await world.commit('in', { a: 'aa bb' })
  expect(await world.ended('out', three.id)).toMatchObject({
    counts: { ran: 3, codeChanged: 2, reused: 0 },
  })
  expect(await world.files('out')).toEqual({ a: 'bb aa', b: 'b', c: 'c' })
})

test('links into an input become copies; what cannot be an output fails the datum', async () => {
  await put(
    'cd ${PFS_ROOT:-/pfs}; case $(cat "$in") in link) ln -s ../in/a out/linked;; pipe) mkfifo out/p;; away) ln -s /etc/passwd out/l;; esac\n',
  )
  await world.put(spec('out', 'in', ['sh', 'run.sh'], { datumTries: 1 }))
  const one = await world.commit('in', { a: 'link' })
  expect(await world.ended('out', one.id)).toMatchObject({ state: 'finished' })
  expect(await world.files('out')).toEqual({ linked: 'link' })
  const two = await world.commit('in', { b: 'pipe', c: 'away' })
  expect(await world.ended('out', two.id)).toMatchObject({ state: 'failed', counts: { failed: 2 } })
  const failed = await Array.fromAsync(
    world.pipelines.datums(PROJECT, 'out', two.id, { state: 'failed' }),
  )
  expect(failed.flatMap((datum) => datum.lastLines)).toEqual([
    'cannot take "/pfs/out/p": it is a device, socket or pipe',
    'cannot take "/pfs/out/l": it is a link that does not lead into an input of the datum',
  ])
})

test('the code sees the environment of its datum and only that', async () => {
  await put('env > ${PFS_ROOT:-/pfs}/out/env\n')
  const transform = { env: { MINE: 'yes' } }
  await world.put(spec('out', 'in', ['sh', 'run.sh'], { transform }))
  const one = await world.commit('in', { 'd/a': '1' })
  await world.ended('out', one.id)
  const { env = '' } = await world.files('out')
  const seen = Object.fromEntries(env.split('\n').map((line) => line.split('=')))
  expect(seen).toMatchObject({
    MINE: 'yes',
    PACH_JOB_ID: one.id,
    VARVE_JOB_ID: one.id,
    PPS_PIPELINE_NAME: 'out',
    in_COMMIT: one.id,
  })
  expect(seen['in']).toMatch(/\/in\/d$/)
  const ours = Object.keys(process.env).filter((name) => name in seen)
  expect(ours.filter((name) => !['PATH', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))).toEqual([])
})
