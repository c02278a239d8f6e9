import type { Caller } from './caller.ts'
import type { Wire } from './wire.ts'

/** Aborts uploads in parts below the prefix that began before `beforeMs`. @returns how many */
export async function abortLeftovers(
  wire: Wire,
  caller: Caller,
  { bucket, root }: { readonly bucket: string; readonly root: string },
  beforeMs: number,
): Promise<number> {
  let aborted = 0
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
  for (;;) {
    const page = await caller.call(
      {
        name: 'ListMultipartUploads',
        doing: `list unfinished uploads of bucket "${bucket}"`,
        action: 's3:ListBucketMultipartUploads',
      },
      (abortSignal) =>
        wire.client.send(
          new wire.sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: root, ...marker }),
          { abortSignal },
        ),
    )
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      // A live upload lasts minutes; the caller's age keeps clear of those.
      if (!Key || !UploadId || !Initiated || Initiated.getTime() >= beforeMs) continue
      await caller.ask(
        {
          name: 'AbortMultipartUpload',
          doing: `abort an unfinished upload of "${Key}" in bucket "${bucket}"`,
          action: 's3:AbortMultipartUpload',
        },
        async (abortSignal) => {
          const command = new wire.sdk.AbortMultipartUploadCommand({
            Bucket: bucket,
            Key,
            UploadId,
          })
          await wire.client.send(command, { abortSignal })
        },
      )
      aborted++
    }
    if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return aborted
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
  }
}
