// Looks for what is damaged or gone. Packs are checked from their own bytes (verify-pack.ts), all or a
// part of them; then everything that roots name is looked up (verify-trees.ts): nodes are read and checked,
// of a chunk it is asked whether its frame stands in the table of its pack, and only in a pack that is
// suspect it is read.
//
// - Told is each damaged or missing pack once, and each root and path that is hurt by it, up to a bound.
// - Nothing comes from a cache: every place is read where its hint says, as a reader would that starts now.
// - Below what is whole nobody looks twice, so a history costs what is new in each of its trees.
// - Memory: some packs' tables, 2 × 64 MiB of places that were seen (then they are forgotten, which costs
//   time and no truth), and 16 bytes and a little for each pack.

import type { Root } from './mark.ts'
import { PackListing } from '../packs/pack-listing.ts'
import type { PackStore } from '../store.ts'
import { checkPack } from './verify-pack.ts'
import type { PackGuests } from './verify-pack.ts'
import { VerifyReport } from './verify-report.ts'
import type { Finding } from './verify-report.ts'
import { TreeChecking } from './verify-trees.ts'

/** Something kept, by what it is called: a commit's tree, a note. */
export interface NamedRoot extends Root {
  readonly name: string
  /** Whether it is kept still; asked when something of it is missing. Absent: it is. */
  readonly kept?: () => Promise<boolean>
}

export interface VerifyOptions {
  /** All that must be whole; called again for a second look. */
  readonly roots: () => AsyncIterable<NamedRoot>
  /** Of the packs, so many are read; default 100. */
  readonly percent?: number
  /** Which of them: with n, n + 1, n + 2 … every pack has its turn within 100 / percent runs; default 0. */
  readonly seed?: number
  /** Only packs that these roots need; default: all there are. */
  readonly onlyNeeded?: boolean
  /** Awaited before so many bytes of a pack are read. */
  readonly pace?: (sizeBytes: number) => Promise<void>
  readonly signal?: AbortSignal
}

export type VerifyGuests = Omit<PackGuests, 'pace'> & {
  /** Over the same blobs, keeping nothing: a cached node hides what became of its bytes. */
  readonly store: PackStore
}

/** @throws VarveError UNAVAILABLE: the blob store does not answer; what the signal was aborted with */
export async function* verify(
  { store, ...guests }: VerifyGuests,
  options: VerifyOptions,
): AsyncGenerator<Finding> {
  const { roots, percent = 100, seed = 0, onlyNeeded = false, signal } = options
  const listing = await PackListing.read(guests.blob)
  const report = new VerifyReport()
  const reading = { ...guests, pace: options.pace ?? (() => Promise.resolve()) }
  const inTurn = takesTurn(percent, seed)
  const trees = new TreeChecking({ ...reading, store, listing, report }, signal)

  if (onlyNeeded) yield* trees.run(roots())
  const suspectsBefore = report.suspects
  for (let n = 0; n < listing.count; n++) {
    signal?.throwIfAborted()
    if (onlyNeeded && !listing.isUsed(n)) continue
    report.counts.packsAll++
    const pack = listing.name(n)
    if (!inTurn(pack)) continue
    const sizeBytes = listing.sizeBytes(n)
    const checked = await checkPack(reading, pack, sizeBytes)
    if (!checked) continue
    const { counts } = report
    counts.packs++
    counts.bytes += sizeBytes
    counts.nodes += checked.nodes
    counts.chunks += checked.chunks
    if (checked.faults.length > 0) report.suspect(pack, 'damaged', checked)
    yield* report.take()
    yield report.progress('packs')
  }
  trees.packsWereRead(inTurn)
  if (!onlyNeeded) yield* trees.run(roots())
  else if (report.suspects > suspectsBefore) {
    // What hangs on them was taken for whole.
    report.forgetHurts()
    trees.forget()
    yield* trees.run(roots())
  }
  if (!onlyNeeded)
    for (let n = 0; n < listing.count; n++) if (!listing.isUsed(n)) report.counts.unneeded++
  yield { kind: 'done', ...report.counts }
}

/** Names of packs are random: their beginnings fall into slices of equal size. */
function takesTurn(percent: number, seed: number): (pack: string) => boolean {
  if (percent >= 100) return () => true
  const slices = Math.ceil(100 / percent)
  const turn = seed % slices
  return (pack) => Math.floor((Number.parseInt(pack.slice(0, 8), 16) / 2 ** 32) * slices) === turn
}
