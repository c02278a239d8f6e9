// Judges a run from its journal and from what the system shows afterwards. Every function returns what
// is wrong, in sentences; nothing wrong is an empty list.
//
// What must hold: an op answered yes is there exactly once, with its bytes; one answered no is not;
// an unknown one has become definite by asking again. What a client knew before it sent lies below
// what it sent. The log is dense and decides each id once. A record of the feed is in exactly one
// commit, counted once, delivered once to a reader that drops repeated ids.

import type { Line, Produced, Sent, Struck } from './journal.ts'

/** One commit as the API lists it. */
export interface FoundCommit {
  readonly repo: string
  readonly branch: string
  readonly id: string
  readonly parent: string | null
  readonly state: string
  readonly openedSeq: number
  /** Of a spout: part → the piece of the source it holds. */
  readonly feed?: Readonly<Record<string, { readonly from: string | null; readonly to: string }>>
}

/** What the system shows after a run, at rest. */
export interface Found {
  readonly commits: readonly FoundCommit[]
  /** `repo@branch` → the head's id. */
  readonly heads: ReadonlyMap<string, string>
  /** `commit:path` → the content there; of every op that was answered yes. */
  readonly texts: ReadonlyMap<string, string>
  /** `repo@branch:path` → the content at the head; of every path ever written. */
  readonly headTexts: ReadonlyMap<string, string>
}

export interface Op extends Sent {
  readonly answer: 'yes' | 'no' | 'unknown'
  readonly code: string | undefined
  readonly commit: string | undefined
  /** Lines of the journal: of its first attempt, and of its first definite answer. */
  readonly sentLine: number
  readonly knownLine: number
}

/** The ops of a journal, and what is wrong with their answers alone. */
export function opsOf(lines: readonly Line[]): { ops: readonly Op[]; wrong: string[] } {
  const ops = new Map<number, Op>()
  const wrong: string[] = []
  lines.forEach((line, at) => {
    if (line.kind === 'sent') {
      if (!ops.has(line.op))
        ops.set(line.op, {
          ...line,
          answer: 'unknown',
          code: undefined,
          commit: undefined,
          sentLine: at,
          knownLine: Infinity,
        })
    } else if (line.kind === 'answered' && line.answer !== 'unknown') {
      const op = ops.get(line.op)
      if (!op) return void wrong.push(`op ${line.op} was answered and never sent`)
      const { answer, code, commit } = line
      if (op.answer === 'unknown') ops.set(line.op, { ...op, answer, code, commit, knownLine: at })
      else if (op.answer !== answer || op.commit !== commit)
        wrong.push(`${named(op)} was answered ${told(op)} and then ${told(line)}`)
    }
  })
  for (const op of ops.values()) {
    if (op.answer === 'unknown') wrong.push(`${named(op)} never got a definite answer`)
    if (op.answer === 'yes' && op.commit !== op.id)
      wrong.push(`${named(op)} was answered with the commit ${op.commit}`)
    const said = op.answer === 'no' ? op.code : op.answer
    if (op.answer !== 'unknown' && said !== op.expects)
      wrong.push(`${named(op)} was answered ${said} instead of ${op.expects}`)
  }
  return { ops: [...ops.values()], wrong }
}

/** Yes: there, once, with its bytes. No: not there. Nothing else is there either. */
export function checkCommits(ops: readonly Op[], found: Found): string[] {
  const wrong: string[] = []
  const byId = Map.groupBy(found.commits, ({ id }) => id)
  for (const op of ops) {
    const there = (byId.get(op.id) ?? []).filter(({ repo }) => repo === op.repo)
    if (op.answer === 'yes') {
      if (there.length === 0) wrong.push(`${named(op)} was acknowledged and is lost`)
      if (there.length > 1) wrong.push(`${named(op)} is there ${there.length} times`)
      for (const commit of there) {
        if (commit.state !== 'finished' || commit.branch !== op.branch)
          wrong.push(`${named(op)} is ${commit.state} on "${commit.branch}"`)
        if (found.texts.get(`${op.id}:${op.path}`) !== op.text)
          wrong.push(`${named(op)} does not hold the bytes that were sent`)
      }
    }
    if (op.answer === 'no' && there.length > 0 && !ops.some((o) => o.id === op.id && o !== op))
      wrong.push(`${named(op)} was refused (${op.code}) and is there`)
  }
  const asked = new Set(ops.map(({ id }) => id))
  const repos = new Set(ops.map(({ repo }) => repo))
  for (const { repo, branch, id } of found.commits)
    if (repos.has(repo) && !asked.has(id)) wrong.push(`${repo}@${branch}=${id}: nobody sent it`)
  return wrong
}

/**
 * Heads are linear: each branch is one chain of parents that holds every commit on it, and whatever
 * was acknowledged before an op was sent stands before that op. The newest write of a path is its
 * content at the head.
 */
export function checkOrder(lines: readonly Line[], ops: readonly Op[], found: Found): string[] {
  const wrong: string[] = []
  const place = new Map<string, number>()
  const branches = Map.groupBy(found.commits, ({ repo, branch }) => `${repo}@${branch}`)
  for (const [branch, commits] of branches) {
    const byId = new Map(commits.map((commit) => [commit.id, commit]))
    const chain: string[] = []
    for (let id = found.heads.get(branch) ?? null; id !== null;) {
      const commit = byId.get(id)
      if (!commit || chain.includes(id)) {
        wrong.push(`${branch}: its history does not end (at ${id})`)
        break
      }
      chain.push(id)
      id = commit.parent
    }
    chain.reverse().forEach((id, i) => place.set(`${branch}=${id}`, i))
    const seqs = chain.map((id) => byId.get(id)?.openedSeq ?? 0)
    if (seqs.some((seq, i) => i > 0 && seq <= (seqs[i - 1] ?? 0)))
      wrong.push(`${branch}: its history does not follow the log`)
    for (const { id, state } of commits)
      if (state === 'finished' && !place.has(`${branch}=${id}`))
        wrong.push(`${branch}=${id} is finished and not below the head`)
  }

  const key = (op: Op): string => `${op.repo}@${op.branch}`
  const at = (op: Op): number | undefined => place.get(`${key(op)}=${op.id}`)
  const accepted = ops.filter(({ answer }) => answer === 'yes')
  const begins = new Map(accepted.map((op) => [op.sentLine, op]))
  const ends = new Map(accepted.map((op) => [op.knownLine, op]))
  const known = new Map<string, Op>()
  lines.forEach((_, line) => {
    const begun = begins.get(line)
    const floor = begun && known.get(key(begun))
    if (begun && floor && (at(begun) ?? Infinity) < (at(floor) ?? -1))
      wrong.push(`${named(begun)} stands below ${named(floor)}, known before it was sent`)
    const ended = ends.get(line)
    if (!ended) return
    const highest = known.get(key(ended))
    if (!highest || (at(highest) ?? -1) < (at(ended) ?? -1)) known.set(key(ended), ended)
  })

  const newest = new Map<string, Op>()
  for (const op of accepted) {
    const path = `${key(op)}:${op.path}`
    const other = newest.get(path)
    if (!other || (at(other) ?? -1) < (at(op) ?? -1)) newest.set(path, op)
  }
  for (const [path, op] of newest)
    if (found.headTexts.get(path) !== op.text)
      wrong.push(`${path}: the head does not show ${named(op)}, the newest write of it`)
  return wrong
}

/** What lies in the log: the seq and the id of each entry, in the order of its rows. */
export interface LogRow {
  readonly seq: number
  readonly id: string
}

/** Dense from 1, and one decision for each id. */
export function checkLog(rows: readonly LogRow[], project: string): string[] {
  const wrong: string[] = []
  rows.forEach(({ seq }, i) => {
    if (seq !== i + 1) wrong.push(`${project}: seq ${seq} stands in place ${i + 1} of the log`)
  })
  const seqOf = new Map<string, number>()
  for (const { seq, id } of rows) {
    const before = seqOf.get(id)
    if (before !== undefined) wrong.push(`${project}: ${id} is decided at ${before} and ${seq}`)
    seqOf.set(id, seq)
  }
  return wrong.slice(0, 20)
}

/** Each acknowledged op stands in the log, as accepted ids. */
export function checkDecided(ops: readonly Op[], rows: readonly LogRow[]): string[] {
  const decided = new Set(rows.map(({ id }) => id))
  return ops
    .filter(({ answer, id }) => answer === 'yes' && !decided.has(id))
    .map((op) => `${named(op)} was acknowledged and is not in the log`)
}

/** A record of the feed, as it was found in a file of a commit. */
export interface FoundRecord {
  readonly key: string
  readonly seq: number
}

/**
 * The pieces of the source that commits hold follow each other without gap or overlap, and the records
 * found below the head are exactly those that were produced.
 */
export function checkFeed(
  found: Pick<Found, 'commits'>,
  produced: Produced,
  records: Iterable<FoundRecord>,
): string[] {
  const wrong: string[] = []
  const ends = new Map<string, string>()
  const bySeq = found.commits.toSorted((a, b) => a.openedSeq - b.openedSeq)
  for (const { feed, id } of bySeq)
    for (const [part, { from, to }] of Object.entries(feed ?? {})) {
      const end = ends.get(part)
      // A first piece may name no position before it.
      if (end !== undefined && from !== end)
        wrong.push(`commit ${id} continues part ${part} from ${from}, which stood at ${end}`)
      ends.set(part, to)
    }
  let total = 0
  const seen = new Map<string, Set<number>>()
  for (const { key, seq } of records) {
    total++
    const seqs = seen.get(key) ?? new Set()
    if (seqs.has(seq)) wrong.push(`record ${key}/${seq} is in two places`)
    seen.set(key, seqs.add(seq))
  }
  const distinct = [...seen.values()].reduce((sum, seqs) => sum + seqs.size, 0)
  if (distinct !== produced.records)
    wrong.push(`${produced.records} records were produced, ${distinct} are in commits`)
  if (total !== distinct) wrong.push(`${total - distinct} records are doubled in commits`)
  return wrong.slice(0, 20)
}

/** One job as the API shows it, with what it says of its datums. */
export interface FoundJob {
  readonly pipeline: string
  readonly id: string
  readonly state: string
  readonly counts: { total: number; ran: number; reused: number; failed: number } | null
  /** As listed one by one. */
  readonly datums: number
}

/** Every job ended well, counts what it lists, and every datum ran once over all jobs. */
export function checkJobs(jobs: readonly FoundJob[], files: number): string[] {
  const wrong: string[] = []
  for (const [pipeline, all] of Map.groupBy(jobs, (job) => job.pipeline)) {
    let ran = 0
    for (const { id, state, counts, datums } of all) {
      if (state !== 'finished' || !counts) {
        wrong.push(`job ${pipeline}=${id} is ${state}`)
        continue
      }
      const { total, reused, failed } = counts
      if (counts.ran + reused !== total || failed > 0 || datums !== total)
        wrong.push(`job ${pipeline}=${id} counts ${JSON.stringify(counts)} of ${datums} datums`)
      ran += counts.ran
    }
    if (ran !== files) wrong.push(`"${pipeline}" counts ${ran} datums for ${files} files`)
  }
  return wrong
}

/** What the foreign reader of the topic counted; see Verifier.java. */
export interface Verdict {
  readonly raw: number
  readonly rawDuplicates: number
  readonly lost: number
  readonly doubled: number
  readonly outOfOrder: number
  readonly partitionMoves: number
}

/** @param repeats records an egress may send twice: a batch for each time it was hit */
export function checkDelivery(verdict: Verdict, repeats: number): string[] {
  const { raw, rawDuplicates, lost, doubled, outOfOrder, partitionMoves } = verdict
  const wrong: string[] = []
  if (raw === 0) wrong.push('nothing was delivered')
  if (lost + doubled + outOfOrder + partitionMoves > 0)
    wrong.push(`delivered wrongly: ${JSON.stringify(verdict)}`)
  if (rawDuplicates > repeats)
    wrong.push(`${rawDuplicates} records were sent twice, at most ${repeats} may be`)
  return wrong
}

/** Faults that hit something, by name. */
export function landed(lines: readonly Line[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of lines)
    if (line.kind === 'struck' && line.landed)
      counts.set(line.fault, (counts.get(line.fault) ?? 0) + 1)
  return counts
}

export function strikesOn(lines: readonly Line[], target: RegExp): number {
  const hits = (line: Line): line is Struck => line.kind === 'struck' && line.landed
  return lines.filter((line) => hits(line) && target.test(line.target)).length
}

const named = (op: Sent): string => `op ${op.op} (${op.repo}@${op.branch}=${op.id}:${op.path})`
const told = (one: {
  readonly answer: string
  readonly code?: string | undefined
  readonly commit?: string | undefined
}): string => [one.answer, one.code, one.commit].filter((word) => word !== undefined).join(' ')
