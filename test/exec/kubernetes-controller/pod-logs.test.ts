import { beforeEach, expect, test } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import type { LogQuestion } from '../../../src/exec/adapters/kubernetes/client.ts'
import { podLog } from '../../../src/exec/adapters/kubernetes/pod-logs.ts'
import { KubernetesError } from '../../../src/exec/adapters/kubernetes/refusal.ts'
import { VirtualClock } from '../../log/toy.ts'
import { FakeApi } from './fake-api.ts'

const OF = { namespace: 'n', pod: 'p', container: 'user' }
/** Four lines in each second, two of them at the very same time, as a fast program writes them. */
const ALL = Array.from({ length: 40 }, (_, n) => {
  const nanos = ['', '.25', '.25', '.500000001'][n % 4]
  return `2026-11-22T18:00:${String(Math.floor(n / 4)).padStart(2, '0')}${nanos}Z line ${n}`
})

let clock: VirtualClock
let api: FakeApi
let questions: LogQuestion[]

beforeEach(() => {
  clock = new VirtualClock()
  api = new FakeApi(clock, seededRandom(1))
  questions = []
  phase('Running')
})

function phase(now: 'Running' | 'Succeeded'): void {
  api.put('pods', { metadata: { name: 'p' }, status: { phase: now } })
}

/** As a server answers: by whole seconds; `send` says what becomes of each answer. */
function serve(
  send: (answer: number, lines: string[], signal: AbortSignal) => AsyncIterable<string>,
): void {
  api.logs = (question, signal) => {
    questions.push(question)
    const since = question.sinceTime ?? ''
    const lines = ALL.filter((line) => line.slice(0, 19) >= since.slice(0, 19))
    return send(questions.length - 1, lines, signal)
  }
}

async function read(signal = new AbortController().signal): Promise<string[]> {
  const lines: string[] = []
  for await (const line of podLog(api, OF, { clock, random: seededRandom(2) }, signal))
    lines.push(line.text)
  return lines
}

const WHOLE = ALL.map((_, n) => `line ${n}`)

test('connections lost after any number of lines: each line comes once, in order', async () => {
  for (let each = 1; each <= 7; each++) {
    questions = []
    phase('Running')
    serve(async function* (answer, lines) {
      if (answer >= 40) {
        phase('Succeeded')
        yield* lines
        return
      }
      // Always some further than the second that comes again, so that it goes on at all.
      yield* lines.slice(0, each + 4)
      throw new KubernetesError('lost', 'terminated')
    })
    expect(await read()).toEqual(WHOLE)
    expect(questions[1]?.sinceTime).toMatch(/:\d\dZ$/)
  }
})

test('a silent connection is opened anew and doubles nothing', async () => {
  serve(async function* (answer, lines, signal) {
    yield* lines.slice(0, 10)
    if (answer === 0) {
      await clock.sleep(10_000_000, signal)
      throw new KubernetesError('lost', 'aborted')
    }
    yield* lines.slice(10)
    phase('Succeeded')
  })
  expect(await read()).toEqual(WHOLE)
})

test('lines written between the end of the stream and the end of the container are not lost', async () => {
  serve(async function* (answer, lines) {
    yield* answer === 0 ? lines.slice(0, 20) : lines
    phase('Succeeded')
  })
  expect(await read()).toEqual(WHOLE)
  expect(questions.at(-1)?.follow).toBe(false)
})

test('waits for a container that has not started, ends with a pod that is gone', async () => {
  serve(async function* (answer, lines) {
    if (answer < 3) throw new KubernetesError('refused', 'container "user" is waiting to start')
    yield* lines.slice(0, 3)
    api.remove('pods', 'p')
  })
  expect(await read()).toEqual(WHOLE.slice(0, 3))
})

test('a right that is missing is thrown, the signal ends it quietly', async () => {
  const denied = new KubernetesError('denied', 'give its Role the verb "get" on "pods/log"')
  api.logs = () => failing(() => Promise.reject(denied))
  await expect(read()).rejects.toThrow('pods/log')
  const stop = new AbortController()
  const lost = new KubernetesError('lost', 'aborted')
  api.logs = (_, signal) =>
    failing(() => clock.sleep(10_000, signal).then(() => Promise.reject(lost)))
  const reading = read(stop.signal)
  await clock.sleep(100)
  stop.abort()
  expect(await reading).toEqual([])
})

/** Lines of which none ever comes. */
function failing(next: () => Promise<never>): AsyncIterable<string> {
  return { [Symbol.asyncIterator]: () => ({ next }) }
}
