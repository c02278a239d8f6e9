// The vendor's client, loaded when a store is opened, and set so that nothing but Caller repeats a
// request or decides how long it may take.

import type { S3Client } from '@aws-sdk/client-s3'
import type * as sdk from '@aws-sdk/client-s3'
import type { S3Options, S3Pace } from './options.ts'
import { usesPathStyle } from './options.ts'

export type Sdk = typeof sdk

export interface Wire {
  readonly sdk: Sdk
  readonly client: S3Client
  close(): void
}

export async function openWire(options: S3Options, pace: S3Pace): Promise<Wire> {
  const [sdk, { NodeHttpHandler }, http, https] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@smithy/node-http-handler'),
    import('node:http'),
    import('node:https'),
  ])
  // Above what Caller lets through, so that no request waits for a socket with its timer running.
  const sockets = { keepAlive: true, maxSockets: pace.reads * 2 + pace.writes, maxFreeSockets: 64 }
  const handler = new NodeHttpHandler({
    connectionTimeout: pace.connectTimeoutMs,
    socketAcquisitionWarningTimeout: 60_000,
    httpAgent: new http.Agent(sockets),
    httpsAgent: new https.Agent(sockets),
  })
  const { accessKey, secretKey } = options
  const client = new sdk.S3Client({
    region: options.region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(accessKey === undefined || secretKey === undefined
      ? {}
      : { credentials: { accessKeyId: accessKey, secretAccessKey: secretKey } }),
    forcePathStyle: usesPathStyle(options),
    followRegionRedirects: false,
    maxAttempts: 1,
    requestHandler: handler,
    // Checksums are ours: CRC32 with every upload (the one all stores know), ids over every read.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  // Over TLS the CRC32 is enough: the SHA-256 of every body would cost more than all the rest.
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { protocol?: string; headers?: Record<string, string> }
      if (request.protocol === 'https:' && request.headers)
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'varveUnsignedPayload' },
  )
  return {
    sdk,
    client,
    close: () => {
      client.destroy()
      handler.destroy()
    },
  }
}
