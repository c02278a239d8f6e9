// Somebody who purges beside writers and collectors: of a repo of its own, whose commits share content with
// others. Asked of any process, again and again until it is done, so that several go on with one purge.
//
// Checker `purged`: what was said to be purged is in no object, what is left of its commits reads as before.

import { utf8 } from '../../src/base/bytes.ts'
import { isVarveError, VarveError } from '../../src/base/errors.ts'
import { idSource } from '../../src/model/id.ts'
import { commitKey } from '../../src/model/entities.ts'
import type { CommitKey } from '../../src/model/entities.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import type { Path } from '../../src/model/path.ts'
import { refLocation } from '../../src/model/tree-ref.ts'
import { runPurge } from '../../src/main/purging.ts'
import { PRINCIPAL, readFile } from './actors.ts'
import type { User } from './actors.ts'
import type { Oracle } from './check.ts'
import type { Node } from './node.ts'
import { collect as all } from './ports.ts'
import type { Durable } from './store.ts'
import type { World } from './world.ts'

const REPO = 'secrets'
const BRANCH = { repo: REPO, branch: 'master' }
const LIMITS = { markBytes: 1 << 20, blockBytes: 32, winsBytes: 1 }

export interface Purged {
  readonly commits: { readonly key: CommitKey; readonly files: Map<string, string> }[]
  /** Texts that are nowhere any more. */
  readonly texts: string[]
  /** Packs that may be gone though nodes name them. */
  readonly packs: Set<string>
  ended: number
}

export function nothingPurged(): Purged {
  return { commits: [], texts: [], packs: new Set(), ended: 0 }
}

/** @param shared content that others write, too */
export async function purger(
  world: World,
  user: User,
  purged: Purged,
  shared: () => string,
): Promise<void> {
  await user.propose({ op: 'repo.create', name: REPO })
  let files = new Map<string, string>()
  const commit = async (change: ReadonlyMap<string, string | undefined>): Promise<void> => {
    const id = user.newId()
    const request = { id, principal: PRINCIPAL, deadlineMs: 6_000 }
    const now = new Map(files)
    for (const [path, text] of change)
      if (text === undefined) now.delete(path)
      else now.set(path, text)
    const answer = await user.ask(`secrets ${[...change.keys()].join(' ')}`, (api) =>
      api.versions.commitFiles(
        P,
        BRANCH,
        async (writer) => {
          for (const [path, text] of change)
            if (text === undefined) await writer.delete(path as Path)
            else await writer.put(path as Path, utf8(text))
        },
        request,
      ),
    )
    if (!('value' in answer)) return
    files = now
    purged.commits.push({ key: { ...BRANCH, id }, files: new Map(now) })
  }
  for (let turn = 0; turn < 2; turn++) {
    const path = world.pick(['a', 'd/a'])
    const texts: string[] = []
    for (let n = 0; n < 3; n++) {
      const text = `secret ${turn} of ${n} `.repeat(world.pick([1, 60, 3_500]))
      texts.push(text.slice(0, 14))
      await commit(
        new Map([
          [path, text],
          [world.pick(['b', 'd/b', 'c']), shared()],
        ]),
      )
      await user.pause(1_500)
    }
    await commit(new Map([[path, undefined]]))
    for (const { key } of purged.commits) await notePacks(user, key, purged)
    const id = user.newId()
    for (;;) {
      const answer = await user.ask('purge', (api) => purge(api, path as Path, id))
      if ('value' in answer) break
      // It was overtaken, or something it had stored for it was collected.
      if (!['STALE_STATE', 'SESSION_CLOSED', 'NOT_FOUND_PATH'].includes(answer.code))
        return user.complain(`a purge is refused: ${answer.code}`)
      // Another process had ended it, whose answer came too late.
      if (answer.code === 'NOT_FOUND_PATH') break
      await user.pause(2_000)
    }
    purged.ended++
    for (const one of purged.commits) one.files.delete(path)
    purged.texts.push(...texts)
  }
}

async function purge(
  { versions, tables, blob, objects, life }: Node,
  path: Path,
  id: ReturnType<User['newId']>,
): Promise<void> {
  const { clock, random } = life
  const ids = idSource(clock, random)
  const guests = {
    versions,
    tables,
    blob,
    clock,
    random,
    ids,
    store: objects.store,
    limits: LIMITS,
  }
  const request = { id, principal: PRINCIPAL }
  const how = {
    project: P,
    repo: REPO,
    paths: [path],
    plan: false,
    alsoCopies: true,
    waitMs: 0,
    request,
  }
  try {
    const steps = runPurge(guests, how, new AbortController().signal)
    for await (const step of steps) life.world.note(`${life.name} purges: ${step.phase}`)
  } catch (error) {
    // Who was taken over from may meet what the other deletes.
    if (isVarveError(error, 'CORRUPT')) throw new VarveError('UNAVAILABLE', error.message)
    throw error
  }
}

/** Where nodes of its commits lie now. */
async function notePacks(user: User, key: CommitKey, { packs }: Purged): Promise<void> {
  await user.ask('look', async (api) => {
    const row = await api.versions.commit(P, key)
    if (row?.root) packs.add(refLocation(row.root).pack)
  })
}

export async function checkPurged(
  world: World,
  durable: Durable,
  oracle: Oracle,
  { commits, texts }: Purged,
): Promise<void> {
  for (const { key, files } of commits) {
    const row = await oracle.versions.commit(P, key)
    if (!row?.root) {
      world.violate('purged', `${commitKey(key)} is gone`)
      continue
    }
    try {
      const there = (await all(oracle.versions.objects.walk(row.root))).map(({ path }) => path)
      if (there.join(' ') !== [...files.keys()].toSorted().join(' '))
        world.violate('purged', `${commitKey(key)} has ${there.join(' ')}`)
      for (const [path, text] of files)
        if ((await readFile(oracle, row, path)) !== text)
          world.violate('purged', `${commitKey(key)} reads otherwise at "${path}"`)
    } catch (error) {
      world.violate('purged', `${commitKey(key)} cannot be read: ${(error as Error).message}`)
    }
  }
  for (const { key } of await all(durable.blob.list(''))) {
    const text = Buffer.from((await durable.blob.get(key)) ?? []).toString('latin1')
    for (const one of texts)
      if (text.includes(one)) world.violate('purged', `"${one}" is in ${key}`)
  }
}
