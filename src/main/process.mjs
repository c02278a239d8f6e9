// What a process of ours sets before anything else of it is loaded. Plain JavaScript, because to take the types
// off a single file Node loads a tool of 18 MB for 40 ms, in every thread; what its cache holds has
// them off already.

import { enableCompileCache } from 'node:module'
import { dirname } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// Compiled code is kept between runs (in the system's temporary folder): a command then starts in a
// fifth of the time.
const { directory } = enableCompileCache()
// Threads look for the same here.
if (directory) process.env['NODE_COMPILE_CACHE'] ??= dirname(directory)
// Writes mostly wait for the disk: four threads, the default, would let four of them wait at once.
process.env['UV_THREADPOOL_SIZE'] ??= '16'
// So that who passes many bytes on can have their buffers collected (base/passing.ts).
setFlagsFromString('--expose-gc')
globalThis.gc = runInNewContext('gc')
