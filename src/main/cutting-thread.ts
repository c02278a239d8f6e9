// A thread that cuts long contents into chunks and hashes them (cutting.ts).

import { parentPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { must } from '../base/assert.ts'
import { cutAndHash } from '../objects/files/cutting.ts'
import { openHash } from './compute.ts'
import type { CutDone, CutJob } from './cutting-job.ts'

const port = must(parentPort as MessagePort | null, 'the port to the caller')
const hash = await openHash()

port.on('message', ({ id, memory, ...stretch }: CutJob) => {
  const done: CutDone = { id, cuts: cutAndHash(hash, new Uint8Array(memory), stretch) }
  port.postMessage(done)
})
