// The examination of a schema registry: whether something that speaks Confluent's API answers there.

import type { Check } from '../base/check.ts'
import type { Clock } from '../base/clock.ts'

const PATIENCE_MS = 10_000
/** Of Confluent's API: there is no such subject. */
const NO_SUBJECT = 40401

export type Fetch = (
  url: string,
  init: {
    readonly method?: string
    readonly headers: Record<string, string>
    readonly body?: string
    readonly signal: AbortSignal
  },
) => Promise<Response>

/**
 * Ends early where nothing further can succeed. Registers nothing.
 * @param url of the API, perhaps with `user:password@`
 */
export async function* checkRegistry(
  url: string,
  guests: { readonly clock: Clock; readonly fetch: Fetch },
): AsyncGenerator<Check> {
  const shown = withoutSecret(url)
  const what = `schema registry at ${shown}`
  const subjects = await ask(guests, url, '/subjects')
  if ('error' in subjects) {
    const remedy = 'check VARVE_REGISTRY, that the registry runs, and firewalls between'
    return yield { what, state: 'failed', found: `not reached: ${subjects.error}`, remedy }
  }
  const { status, body } = subjects
  if (status === 401 || status === 403) {
    const remedy = 'write the credentials into VARVE_REGISTRY: https://user:password@host/path'
    return yield { what, state: 'failed', found: `access denied (${status})`, remedy }
  }
  if (status !== 200 || !Array.isArray(body)) {
    const remedy = 'give the address of the API itself; with Apicurio it ends with /apis/ccompat/v7'
    const found = `answers ${status}, without a list of subjects: it is no registry`
    return yield { what, state: 'failed', found, remedy }
  }
  yield { what, state: 'ok', found: `answers; ${body.length} subjects` }

  const lookup = await ask(guests, url, '/subjects/varve-probe', '{"schema":"\\"string\\""}')
  const code = 'body' in lookup ? (lookup.body as { error_code?: number } | null)?.error_code : 0
  if ('status' in lookup && (lookup.status === 200 || code === NO_SUBJECT))
    yield { what: 'looking up a schema', state: 'ok', found: 'works' }
  else
    yield {
      what: 'looking up a schema',
      state: 'failed',
      found: 'status' in lookup ? `answers ${lookup.status}` : lookup.error,
      remedy: 'allow this user to read subjects; use a registry with the Confluent API',
    }
}

type Answer = { readonly status: number; readonly body: unknown } | { readonly error: string }

async function ask(
  { clock, fetch: send }: { readonly clock: Clock; readonly fetch: Fetch },
  base: string,
  path: string,
  body?: string,
): Promise<Answer> {
  const stop = new AbortController()
  const done = new AbortController()
  void clock.sleep(PATIENCE_MS, done.signal).then(() => stop.abort())
  try {
    const url = new URL(base)
    const headers: Record<string, string> = { accept: 'application/vnd.schemaregistry.v1+json' }
    if (url.username !== '') {
      const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
      headers['authorization'] = `Basic ${btoa(pair)}`
    }
    if (body !== undefined) headers['content-type'] = 'application/vnd.schemaregistry.v1+json'
    const answer = await send(withoutSecret(base).replace(/\/+$/, '') + path, {
      ...(body === undefined ? {} : { method: 'POST', body }),
      headers,
      signal: stop.signal,
    })
    return { status: answer.status, body: await readJson(answer) }
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string; message?: string } }
    return { error: cause?.code ?? cause?.message ?? message }
  } finally {
    done.abort()
  }
}

async function readJson(answer: Response): Promise<unknown> {
  try {
    return await answer.json()
  } catch {
    return undefined
  }
}

function withoutSecret(text: string): string {
  const url = URL.parse(text)
  if (!url) return text
  url.username = ''
  url.password = ''
  return url.href
}
