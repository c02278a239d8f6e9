// Every route. The order is the order of the printed API.

import { applyDocuments } from './apply.ts'
import { deleteBranch, getBranch, keepBranch, listBranches, putBranch } from './branches.ts'
import {
  deleteCommit,
  dropCommit,
  finishCommit,
  getCommit,
  getCommitSet,
  listCommits,
  startCommit,
  waitCommit,
} from './commits.ts'
import { getDatum, listDatums } from './datums.ts'
import { deleteEgress, getEgress, listEgresses, pauseEgress, resumeEgress } from './egresses.ts'
import { streamEvents } from './events.ts'
import { explainFile } from './explain.ts'
import {
  deleteFile,
  diffFiles,
  getChecksum,
  getChecksums,
  getFile,
  getFiles,
  globFiles,
  listFiles,
  putFile,
  putFiles,
  statFile,
  sumDiff,
} from './files.ts'
import { getJob, listJobs, stopJob, waitJob } from './jobs.ts'
import { getLogs } from './logs.ts'
import { getLivez, getMetrics, getOpenapi, getReadyz, getVersion } from './meta.ts'
import {
  deletePipeline,
  getPipeline,
  listPipelines,
  planPipeline,
  startPipeline,
  stopPipeline,
} from './pipelines.ts'
import { getPool, getPoolDemand, listPools } from './pools.ts'
import { createProject, getProject, listProjects } from './projects.ts'
import { collectGarbage } from './gc.ts'
import { getPurge, listPurges, purgeFiles } from './purges.ts'
import { rebuildProject } from './rebuild.ts'
import { createRepo, deleteRepo, getRepo, keepRepo, listRepos } from './repos.ts'
import { getGraph, liveGraph } from './rivers.ts'
import type { RouteKey } from './route.ts'
import { deleteSpout, getSpout, listSpouts, pauseSpout, resumeSpout } from './spouts.ts'
import {
  dropUpload,
  finishUpload,
  getUpload,
  listParts,
  listAllUploads,
  listUploads,
  openUpload,
  putBatch,
  putSegment,
} from './uploads.ts'
import { verifyStore } from './verify.ts'
import { getRepoUsage, getUsage } from './usage.ts'
import { issueWorkerToken } from './worker-tokens.ts'

export const ROUTES = [
  getVersion,
  getOpenapi,
  getLivez,
  getReadyz,
  getMetrics,
  listProjects,
  createProject,
  getProject,
  rebuildProject,
  collectGarbage,
  purgeFiles,
  listPurges,
  getPurge,
  listRepos,
  createRepo,
  getRepo,
  keepRepo,
  deleteRepo,
  listBranches,
  getBranch,
  putBranch,
  keepBranch,
  deleteBranch,
  listCommits,
  getCommit,
  getCommitSet,
  startCommit,
  finishCommit,
  deleteCommit,
  dropCommit,
  waitCommit,
  getFile,
  getChecksum,
  getChecksums,
  getFiles,
  statFile,
  listFiles,
  globFiles,
  diffFiles,
  sumDiff,
  putFile,
  putFiles,
  deleteFile,
  openUpload,
  listAllUploads,
  listUploads,
  getUpload,
  listParts,
  putSegment,
  putBatch,
  finishUpload,
  dropUpload,
  getUsage,
  getRepoUsage,
  applyDocuments,
  listPipelines,
  getPipeline,
  planPipeline,
  stopPipeline,
  startPipeline,
  deletePipeline,
  listPools,
  getPool,
  getPoolDemand,
  listJobs,
  getJob,
  waitJob,
  stopJob,
  listDatums,
  getDatum,
  explainFile,
  getLogs,
  listSpouts,
  getSpout,
  pauseSpout,
  resumeSpout,
  deleteSpout,
  listEgresses,
  getEgress,
  pauseEgress,
  resumeEgress,
  deleteEgress,
  streamEvents,
  getGraph,
  liveGraph,
  verifyStore,
  issueWorkerToken,
] as const

/** By `METHOD path`: the type the client and the server are checked against. */
export type Routes = { [R in (typeof ROUTES)[number] as RouteKey<R>]: R }
export type AnyRouteKey = keyof Routes
