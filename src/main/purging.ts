// A purge from its first look to its receipt. What it has begun anybody can bring to its end: the next
// purge does, and until then every collection takes it along.
//
//   look ─▶ store what stands for the nodes, and the map ─▶ entry `purge.begun` ─▶ rows
//        ─▶ collect (upkeep/collect.ts) ─▶ look again ─▶ entry `purge.ended` ─▶ rows
//
// The entry comes before the rows that hide anything: what is read instead of a node, the log has said.

import { utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { Commit } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { CollectOptions, CollectStep } from '../objects/upkeep/collect.ts'
import { PurgePlanning } from '../objects/upkeep/purge-plan.ts'
import { moveTurn, purgeTurn } from '../objects/upkeep/purge-turn.ts'
import type { PurgeTurn } from '../objects/upkeep/purge-turn.ts'
import { decodePurgeMap, encodePurgeMap } from '../objects/upkeep/redactions.ts'
import { keptByJobs } from '../pipelines/purge-scope.ts'
import {
  checkPurgeable,
  derivedFrom,
  keptTrees,
  outOfReach,
  receiptOf,
  treesOf,
} from '../versions/purge-scope.ts'
import type { PurgeReceipt, PurgeScope, PurgeStep, Purging } from '../versions/purge-scope.ts'
import { runCollection } from './collection.ts'
import type { CollectionGuests } from './collection.ts'

type Guests = CollectionGuests & Pick<CollectOptions, 'store'>

/** @throws VarveError HAS_CHILDREN, NOT_FOUND_PATH, CORRUPT, STALE_STATE: something took it over meanwhile */
export async function* runPurge(
  guests: Guests,
  how: Purging,
  signal: AbortSignal,
): AsyncGenerator<PurgeStep> {
  const { versions, store, tables } = guests
  const { project, request } = how
  if (how.plan) {
    await store.condemned.load()
    yield { phase: 'found', receipt: (await look(guests, how)).receipt }
    return
  }
  const asked = await versions.purge(project, request.id)
  if (asked?.ended) return yield { phase: 'done', receipt: await receiptOf(versions, asked) }
  let turn = await purgeTurn(tables)
  if (turn.map !== '' && turn.purge !== request.id) {
    yield* end(guests, turn, how.waitMs, signal)
    turn = await purgeTurn(tables)
  }
  if (turn.map === '') {
    const session = await versions.sessions.open(project)
    const mine = { n: turn.n + 1, project, purge: request.id, map: '' }
    if (!(await moveTurn(guests, turn, mine))) throw overtaken()
    await store.condemned.load()
    const { planning, receipt } = await look(guests, how)
    yield { phase: 'found', receipt }
    checkCopies(receipt, how)
    const map = await versions.objects.putBytes(encodePurgeMap(await planning.store()))
    await propose(guests, receipt, { map, ended: false, session })
    turn = { ...mine, map }
    if (!(await moveTurn(guests, mine, turn))) throw overtaken()
  }
  const receipt = yield* end(guests, turn, how.waitMs, signal)
  await checkNothingCame(guests, receipt)
  yield { phase: 'done', receipt }
}

function overtaken(): VarveError {
  return new VarveError(
    'STALE_STATE',
    'cannot purge: another purge was begun meanwhile; run it again',
  )
}

/** Takes what it hides out of the packs, and says so. Whoever asked for it may be gone. */
async function* end(
  guests: Guests,
  turn: PurgeTurn,
  waitMs: number,
  signal: AbortSignal,
): AsyncGenerator<PurgeStep, PurgeReceipt> {
  const { versions, store } = guests
  const map = turn.map as TreeRef
  await store.redactions.tell(map, turn.n)
  let last: CollectStep | undefined
  for await (const step of runCollection(guests, { plan: false, waitMs }, signal)) {
    last = step
    yield { phase: 'collecting', step }
  }
  const purge = await versions.purge(turn.project, turn.purge as Id)
  if (last?.phase !== 'done' || !purge)
    throw new VarveError('UNAVAILABLE', 'cannot tell how the purge ended: run it again')
  if (last.unreadable > 0)
    throw new VarveError(
      'CORRUPT',
      `cannot end the purge: ${last.unreadable} packs are damaged, and may have some of it; "varve verify" names them`,
    )
  const { purged: packs, deleted: deletedPacks, deletedBytes, shared: sharedPieces } = last
  const before = await receiptOf(versions, purge)
  const receipt = { ...before, done: { packs, deletedPacks, deletedBytes, sharedPieces } }
  if (!purge.ended)
    await propose(guests, receipt, { map: await withoutNames(guests, map), ended: true })
  await moveTurn(guests, turn, { n: turn.n, project: '', purge: '', map: '' })
  return purge.ended ? before : receipt
}

/** What is kept of the map says nothing of what went. */
async function withoutNames({ versions }: Guests, ref: TreeRef): Promise<TreeRef> {
  const { instead } = decodePurgeMap(await versions.objects.getBytes(ref))
  return versions.objects.putBytes(encodePurgeMap({ instead, gone: new Set(), names: new Set() }))
}

async function planningOf(
  { versions, store }: Guests,
  scope: PurgeScope,
): Promise<{ readonly planning: PurgePlanning; readonly had: readonly Commit[] }> {
  const { project, repo, paths } = scope
  const planning = new PurgePlanning(
    store,
    paths.map((path) => ({ repo: `${project}/${repo}`, path })),
  )
  const had: Commit[] = []
  for await (const tree of treesOf(versions, project, repo))
    if (await planning.take(tree)) had.push(tree.commit)
  for await (const { ref, path } of keptByJobs(versions, scope)) await planning.takeAlso(ref, path)
  return { planning, had }
}

async function look(
  guests: Guests,
  how: Purging,
): Promise<{ readonly planning: PurgePlanning; readonly receipt: PurgeReceipt }> {
  const { versions } = guests
  const { project, repo, paths, request } = how
  await checkPurgeable(versions, how)
  const { planning, had } = await planningOf(guests, how)
  const found = await planning.plan(keptTrees(versions))
  if (found.nodes === 0)
    throw new VarveError(
      'NOT_FOUND_PATH',
      `cannot purge from "${repo}": nothing that is kept of it has ${paths.map((path) => `"${path}"`).join(' or ')}`,
    )
  const derived = await derivedFrom(versions, project, had)
  const receipt: PurgeReceipt = {
    purge: request.id,
    project,
    repo,
    paths,
    by: request.principal,
    found,
    derived,
    outOfReach: await Array.fromAsync(outOfReach(versions, how, derived)),
    done: null,
  }
  return { planning, receipt }
}

function checkCopies({ found }: PurgeReceipt, { alsoCopies, repo }: Purging): void {
  const copy = found.elsewhere.find(({ has }) => has === 'directory')
  if (!copy || alsoCopies) return
  throw new VarveError(
    'HAS_CHILDREN',
    `cannot purge from "${repo}": the same directory stands in "${copy.name}" at "/${copy.path}", and would ` +
      'lose it there as well; say --also-copies if that is meant',
  )
}

async function propose(
  { versions, ids }: Guests,
  receipt: PurgeReceipt,
  {
    session,
    ...put
  }: { readonly map: TreeRef; readonly ended: boolean; readonly session?: number },
): Promise<void> {
  const { purge: id, project, repo, by: principal } = receipt
  const stored = await versions.objects.putBytes(utf8(JSON.stringify(receipt)))
  const op = { op: 'purge.put' as const, purge: { id, repo, receipt: stored, ...put } }
  // What the first of its entries is called by may be asked for again.
  await versions.propose(project, [session === undefined ? op : { ...op, session }], {
    id: ids(),
    principal,
  })
}

/** Somebody may have built on an old commit just before it was hidden. */
async function checkNothingCame(guests: Guests, receipt: PurgeReceipt): Promise<void> {
  const { had } = await planningOf(guests, receipt)
  if (!had[0]) return
  throw new VarveError(
    'STALE_STATE',
    `cannot say it is gone: "${commitKey(had[0])}" was committed meanwhile and has it; delete it there and purge again`,
  )
}
