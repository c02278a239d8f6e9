// A thread that cuts long contents into chunks and hashes them (cutting.ts).

import { parentPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { must } from '../base/assert.ts'
import { Cutter } from '../objects/files/cutting.ts'
import { openHash } from './compute.ts'
import type { CutDone, CutJob } from './cutting-job.ts'

const port = must(parentPort as MessagePort | null, 'the port to the caller')
const hash = await openHash()
const cutters = new Map<number, Cutter>()

port.on('message', (job: CutJob) => {
  if (!job.memory) return void cutters.delete(job.content)
  const cutter = cutters.get(job.content) ?? new Cutter(hash)
  cutters.set(job.content, cutter)
  const done: CutDone = { id: job.id, cuts: cutter.cut(new Uint8Array(job.memory), job) }
  port.postMessage(done)
})
