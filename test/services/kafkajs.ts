// Another client of Kafka than ours, for what tests do to a cluster: kafkajs.

import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import type { Admin, Kafka } from 'kafkajs'

const { CompressionCodecs, CompressionTypes, Kafka: Client, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => zstdCompressSync(buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
})

/** @param brokers `host:port,host:port` */
export function kafkajsAt(brokers: string): Kafka {
  return new Client({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
}

export async function withAdmin<T>(
  brokers: string,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = kafkajsAt(brokers).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}
