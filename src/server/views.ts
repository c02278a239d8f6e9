// Rows of the domain as the API shows them: names and numbers, no references into the store.

import type { BranchView } from '../api/branches.ts'
import type { CommitView } from '../api/commits.ts'
import type { EgressView } from '../api/egresses.ts'
import type { FileView } from '../api/files.ts'
import type { JobView } from '../api/jobs.ts'
import type { SpoutView } from '../api/spouts.ts'
import { fromUtf8 } from '../base/bytes.ts'
import type { EgressStatus } from '../egress/status.ts'
import type { Branch, Cause, Commit, CommitKey, Egress, Job, Spout } from '../model/entities.ts'
import type { TreeEntry } from '../objects/objects.ts'
import type { Hindrance } from '../model/pool-status.ts'
import type { JobProgress } from '../pipelines/service.ts'
import type { SpoutStatus } from '../spouts/status.ts'
import type { Versions } from '../versions/versions.ts'

export function branchView(row: Branch): BranchView {
  return {
    repo: row.repo,
    branch: row.branch,
    head: row.head?.id ?? null,
    tip: row.tip ? { id: row.tip.id, state: row.tip.state } : null,
    provenance: row.provenance.map(({ repo, branch }) => ({ repo, branch })),
    pipeline: row.pipeline,
    epoch: row.epoch,
    keep: row.keep ?? null,
  }
}

const keyView = ({
  repo,
  branch,
  id,
}: CommitKey): { repo: string; branch: string; id: string } => ({
  repo,
  branch,
  id,
})
const causeView = (cause: Cause | null): JobView['cause'] =>
  cause && {
    code: cause.code,
    text: cause.text,
    commit: cause.commit && keyView(cause.commit),
  }

/** Reads the message, which lies in the store. */
export async function commitView(versions: Versions, row: Commit): Promise<CommitView> {
  const message = row.note ? fromUtf8(await versions.objects.getBytes(row.note)) : null
  return {
    ...keyView(row),
    origin: row.origin,
    state: row.state,
    standing: row.standing === true,
    parent: row.parent,
    files: row.stats?.files ?? null,
    bytes: row.stats?.bytes ?? null,
    message,
    provenance: row.provenance.map(keyView),
    cause: causeView(row.cause),
    feed: row.feed,
    openedSeq: row.openedSeq,
    openedAtMs: row.openedAtMs,
    endedAtMs: row.endedAtMs,
    droppedAtMs: row.dropped?.atMs ?? null,
  }
}

export function fileView(entry: TreeEntry): FileView {
  return {
    kind: entry.kind,
    path: entry.path,
    bytes: entry.sizeBytes,
    files: entry.kind === 'dir' ? entry.files : 1,
    digest: entry.digest,
  }
}

export function jobView(
  row: Job,
  progress?: JobProgress,
  waiting: Hindrance | null = null,
): JobView {
  const live = progress && progress.job === row.commit.id ? progress : undefined
  return {
    pipeline: row.pipeline,
    pipelineVersion: row.pipelineVersion,
    id: row.commit.id,
    commit: keyView(row.commit),
    state: row.state,
    standing: row.standing === true,
    planned: row.planned,
    counts: row.counts,
    progress:
      live && row.state === 'running'
        ? { done: live.done, failed: live.failed, toRun: live.toRun }
        : null,
    waiting,
    codeKey: row.codeKey,
    cause: causeView(row.cause),
    startedSeq: row.startedSeq,
    startedAtMs: row.startedAtMs,
    endedAtMs: row.endedAtMs,
  }
}

export function spoutView(row: Spout, known: SpoutStatus | undefined): SpoutView {
  // Nobody hosts what does not run.
  const status = row.state === 'running' ? known : undefined
  const { name, repo, branch, state, cause, epoch, positions, updatedAtMs, spec } = row
  const { name: _, ...live } = status ?? { name }
  return {
    name,
    repo,
    branch,
    state,
    cause,
    epoch,
    positions,
    updatedAtMs,
    spec,
    live: status ? (live as SpoutView['live']) : null,
  }
}

export function egressView(row: Egress, known: EgressStatus | undefined): EgressView {
  const status = row.state === 'running' ? known : undefined
  const { name: _, ...live } = status ?? { name: row.name }
  return {
    name: row.name,
    repo: row.repo,
    branch: row.branch,
    state: row.state,
    cause: row.cause,
    epoch: row.epoch,
    base: row.base,
    progress: row.progress,
    deliveredRecords: row.deliveredRecords,
    updatedAtMs: row.updatedAtMs,
    spec: row.spec,
    live: status ? (live as EgressView['live']) : null,
  }
}
