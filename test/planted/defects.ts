// Planted bugs: each takes one safeguard away, by wrapping the part when a process is built. The
// product knows nothing of them. A simulation that does not find them is not testing anything.

import type { Bus } from '../../src/bus/bus.ts'
import type { Log, Verdict } from '../../src/log/machine.ts'
import type { Id } from '../../src/model/id.ts'
import type { Fact, Op } from '../../src/model/ops.ts'
import { WATERMARKS } from '../../src/log/tables.ts'
import { decodeSent, encodeSent } from '../../src/log/wire.ts'
import type { FactWrite, GuardedWrite, Tables } from '../../src/tables/tables.ts'
import type { GuardedSpec } from '../../src/tables/schema.ts'
import { BRANCHES, RUNS } from '../../src/versions/tables.ts'
import type { State } from '../../src/versions/state.ts'
import type { Defect, VersionsMachine } from '../simulation/node.ts'
import { clusterMac } from '../simulation/store.ts'

type Decide = VersionsMachine['decide']

/** The machine with another `decide` around its own. */
function deciding(
  change: (decide: Decide, ...asked: Parameters<Decide>) => Verdict<Fact>,
): Pick<Defect, 'machine'> {
  return {
    machine: (machine) => ({
      ...machine,
      decide: (...asked) => change(machine.decide.bind(machine), ...asked),
    }),
  }
}

/** Tables with other methods in front. */
function withTables(tables: Tables, own: Partial<Tables>): Tables {
  return {
    get: tables.get.bind(tables),
    scan: tables.scan.bind(tables),
    put: tables.put.bind(tables),
    remove: tables.remove.bind(tables),
    apply: tables.apply.bind(tables),
    writeIf: tables.writeIf.bind(tables),
    close: tables.close.bind(tables),
    ...own,
  }
}

/** Opens a second AUTO commit, of another set, on the first branch below. */
const doublePropagation = deciding((decide, ...asked) => {
  const verdict = decide(...asked)
  if (!('yes' in verdict)) return verdict
  const first = verdict.yes.find(
    (fact) => fact.f === 'commit.opened' && fact.commit.origin === 'auto',
  )
  if (first?.f !== 'commit.opened') return verdict
  const id = `${first.commit.id.slice(0, -1)}${first.commit.id.endsWith('0') ? '1' : '0'}` as Id
  return { yes: [...verdict.yes, { ...first, commit: { ...first.commit, id } }] }
})

/** A row that differs by who projects it: two writers write different rows at one version. */
const tieAtOneVersion: Defect = {
  machine: (machine, life) => ({
    ...machine,
    project: (project, view, entries) =>
      machine.project(project, view, entries).map((write): FactWrite => {
        if (write.table.name !== BRANCHES.name || !('put' in write)) return write
        const value = JSON.parse(write.put['value'] as string) as object
        return {
          ...write,
          put: { ...write.put, value: JSON.stringify({ ...value, by: life.name }) },
        }
      }),
  }),
}

/** The watermark is written before the rows it promises. */
const aboveTheWatermark: Defect = {
  writerTables: (tables) =>
    withTables(tables, {
      apply: async (writes) => {
        const isMark = ({ table }: FactWrite): boolean => table.name === WATERMARKS.name
        await tables.apply(writes.filter(isMark))
        await tables.apply(writes.filter((write) => !isMark(write)))
      },
    }),
}

/** A run is added "if n = k", whether the commit is still open or not. */
const finishRacingPut: Defect = {
  apiTables: (tables) =>
    withTables(tables, {
      writeIf: <T extends GuardedSpec>(table: T, write: GuardedWrite<T>) => {
        const { expect } = write
        if (table.name !== RUNS.name || write.put.length < 2 || expect.is === 'absent')
          return tables.writeIf(table, write)
        const { state: _, ...is } = expect.is as { state?: string }
        return tables.writeIf(table, {
          ...write,
          expect: { ...expect, is: is as Exclude<typeof expect.is, 'absent'> },
        })
      },
      // … and the guard it read a while ago is taken for open.
      get: async (table, key, options) => {
        const row = await tables.get(table, key, options)
        const guard = row as { state?: unknown; n?: unknown } | undefined
        if (table.name !== RUNS.name || guard?.state !== 'closing' || guard.n !== 0) return row
        return row && { ...row, state: 'open' }
      },
    }),
}

/** A second plan replaces the recorded one. */
const twoPlans = deciding((decide, state, proposal, prepared, at) => {
  const verdict = decide(state, proposal, prepared, at)
  const op = proposal.ops[0]
  if (!('notice' in verdict) || op?.op !== 'job.started') return verdict
  const { repo, branch, id } = op.commit
  const job = state.jobs.get(`${repo}@${branch}=${id}`)
  return job ? { yes: [{ f: 'job.started', job: { ...job, plan: op.plan } }] } : verdict
})

/** "No answer within the deadline" is told as "no". */
const unknownForFailure: Defect = {
  log: (log): Log<Op, Fact> => ({
    propose: async (proposal, deadlineMs) => {
      const answer = await log.propose(proposal, deadlineMs)
      if (answer.kind !== 'pending') return answer
      return { kind: 'notice', code: 'HEAD_MOVED', message: 'it took too long' }
    },
    decisionOf: log.decisionOf.bind(log),
    follow: log.follow.bind(log),
    watermark: log.watermark.bind(log),
    rebuild: log.rebuild.bind(log),
  }),
}

/** The writer's own clock is taken for the time a proposal was issued. */
const logTimeOutrunning: Defect = {
  writerBus: (bus, life): Bus => ({
    publish: bus.publish.bind(bus),
    subscribe: (topic, from, handler) =>
      bus.subscribe(topic, from, (messages) =>
        handler(
          messages.map((message) => {
            const sent = decodeSent<Op>(message, clusterMac)
            if (!sent || sent === 'forged' || sent.kind !== 'propose') return message
            const proposal = { ...sent.proposal, issuedAtMs: life.clock.nowMs() }
            return encodeSent({ kind: 'propose', proposal }, clusterMac)
          }),
        ),
      ),
  }),
}

/** A rejection is told and not recorded: asked again later, it may become a yes. */
const unrecordedRejection = deciding((decide, ...asked) => {
  const verdict = decide(...asked)
  if (!('no' in verdict)) return verdict
  return { notice: { code: verdict.no.code, message: verdict.no.message } }
})

/** A spout's commit is taken wherever its feed stands. */
const positionNotCompared = deciding((decide, state, proposal, prepared, at) =>
  decide(state, { ...proposal, ops: proposal.ops.map((op) => atStored(state, op)) }, prepared, at),
)

function atStored(state: State, op: Op): Op {
  if (op.op !== 'commit.put' || !op.feed) return op
  const positions = state.spouts.get(op.feed.spout)?.positions ?? {}
  const ranges = Object.fromEntries(
    Object.entries(op.feed.ranges).map(([part, { to }]) => [
      part,
      { from: positions[part] ?? null, to },
    ]),
  )
  return { ...op, feed: { ...op.feed, ranges } }
}

/** A view is made the current one whose rows were not all written. */
const viewWithHoles: Defect = {
  apiTables: (tables) =>
    withTables(tables, {
      apply: (writes) =>
        tables.apply(
          writes.filter(
            ({ table, ...write }) =>
              table === WATERMARKS || !('put' in write) || !write.put['value'],
          ),
        ),
    }),
}

/** What was merged is told before the pack it lies in is stored. */
const toldBeforeThePack: Defect = {
  merging: (merging) => ({
    merge: merging.merge.bind(merging),
    close: () => {
      merging.close().catch(() => undefined)
      return Promise.resolve()
    },
  }),
}

/** What was merged onto one that was refused is taken as it is. */
const builtOnRefused = deciding((decide, state, proposal, prepared, at) => {
  const fitted = prepared.map(({ merged, ...rest }, i) => {
    const op = proposal.ops[i]
    if (!merged || op?.op !== 'commit.put') return merged ? { ...rest, merged } : rest
    const { repo, branch } = op.branch
    const onto = state.branches.get(`${repo}@${branch}`)?.head?.root ?? null
    return { ...rest, merged: { ...merged, onto } }
  })
  return decide(state, proposal, fitted, at)
})

/** Whatever is on the bus is believed. */
const anyMac: Defect = { mac: ({ sign }) => ({ sign, verify: () => true }) }

export const DEFECTS: Readonly<Record<string, Defect>> = {
  'double-propagation': doublePropagation,
  'tie-at-one-version': tieAtOneVersion,
  'above-the-watermark': aboveTheWatermark,
  'finish-racing-put': finishRacingPut,
  'result-only-on-bus': { resultOnlyOnBus: true },
  'two-plans': twoPlans,
  'unknown-for-failure': unknownForFailure,
  'log-time-outrunning': logTimeOutrunning,
  'unrecorded-rejection': unrecordedRejection,
  'position-not-compared': positionNotCompared,
  'view-with-holes': viewWithHoles,
  'told-before-the-pack': toldBeforeThePack,
  'built-on-refused': builtOnRefused,
  'any-mac': anyMac,
}
