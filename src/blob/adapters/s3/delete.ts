import { forEachLimit } from '../../../base/async.ts'
import { isVarveError } from '../../../base/errors.ts'
import type { VarveError } from '../../../base/errors.ts'
import type { Caller } from './caller.ts'
import { BadAnswer } from './fault.ts'
import type { Wire } from './wire.ts'

const SINGLES_AT_ONCE = 16
/** What stores say that do not know DeleteObjects, or want it in a way of their own. */
const NOT_HERE =
  /NotImplemented|MethodNotAllowed|MissingContentMD5|InvalidRequest|MalformedXML|\b501\b/

/** At most 1,000 keys, with the prefix. @throws VarveError when one of them was not deleted */
export async function deleteKeys(
  wire: Wire,
  caller: Caller,
  bucket: string,
  keys: readonly string[],
): Promise<void> {
  const left = keys.length === 1 ? keys : await deleteMany(wire, caller, bucket, keys)
  await forEachLimit(left, SINGLES_AT_ONCE, async (key) => {
    // Absent is as good as deleted.
    await caller.ask(
      {
        name: 'DeleteObject',
        doing: `delete "${key}" of bucket "${bucket}"`,
        action: 's3:DeleteObject',
      },
      async (abortSignal) => {
        await wire.client.send(new wire.sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), {
          abortSignal,
        })
      },
    )
  })
}

/** @returns the keys that must be deleted one by one: each tells then why it cannot be */
async function deleteMany(
  wire: Wire,
  caller: Caller,
  bucket: string,
  keys: readonly string[],
): Promise<readonly string[]> {
  try {
    return await caller.call(
      {
        name: 'DeleteObjects',
        doing: `delete ${keys.length} objects of bucket "${bucket}"`,
        action: 's3:DeleteObject',
      },
      async (abortSignal) => {
        // Not quiet: every key must be named, as deleted or as failed, before it counts.
        const answer = await wire.client.send(
          new wire.sdk.DeleteObjectsCommand({
            Bucket: bucket,
            Delete: { Objects: keys.map((Key) => ({ Key })) },
          }),
          { abortSignal },
        )
        const done = new Set((answer.Deleted ?? []).map(({ Key }) => Key))
        for (const { Key, Code } of answer.Errors ?? []) if (Code === 'NoSuchKey') done.add(Key)
        if (done.size === 0 && (answer.Errors ?? []).length === 0)
          throw new BadAnswer('a deletion that names no key')
        return keys.filter((key) => !done.has(key))
      },
    )
  } catch (error) {
    if (isVarveError(error) && isNotHere(error)) return keys
    throw error
  }
}

function isNotHere(error: VarveError): boolean {
  const { cause } = error as { cause?: { name?: string } }
  return NOT_HERE.test(`${cause?.name ?? ''} ${error.message}`)
}
