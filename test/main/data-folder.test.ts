import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDataFolder } from '../../src/main/data-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-data-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('data folder: secrets stay the same from one server to the next, for the owner only', async () => {
  const first = await openDataFolder(folder)
  await first.release()
  const second = await openDataFolder(folder)
  expect(second.token).toBe(first.token)
  expect(second.storeKey).toEqual(first.storeKey)
  expect(statSync(join(folder, 'token')).mode & 0o777).toBe(0o600)
  await second.release()
})

test('data folder: a second server is refused and touches nothing, though it wants it fresh', async () => {
  const first = await openDataFolder(folder)
  await first.publishServer('http://127.0.0.1:1')
  const before = readFileSync(join(folder, 'server.json'), 'utf8')
  await expect(openDataFolder(folder, true)).rejects.toMatchObject({ code: 'DATA_IN_USE' })
  expect(readFileSync(join(folder, 'server.json'), 'utf8')).toBe(before)
  await first.release()
})

test('data folder: fresh takes away what is ours and nothing else', async () => {
  writeFileSync(join(folder, 'thesis.txt'), 'years of work')
  const first = await openDataFolder(folder)
  await first.release()
  const fresh = await openDataFolder(folder, true)
  expect(fresh.token).not.toBe(first.token)
  expect(readdirSync(folder)).toContain('thesis.txt')
  await fresh.release()
})
