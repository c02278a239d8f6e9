import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { VarveError } from '../base/errors.ts'
import type { KafkaOptions } from './connect.ts'
import { fromJavaSettings } from './java-settings.ts'
import { parseProperties } from './properties.ts'

/**
 * How to connect, from a .properties file; files it names are found from its folder.
 * @param brokers stand for `bootstrap.servers` of the file when there are any
 * @throws VarveError INVALID_OPTION
 */
export async function kafkaOptionsOfFile(
  brokers: readonly string[],
  file: string | undefined,
): Promise<KafkaOptions> {
  const settings = file === undefined ? new Map<string, string>() : await read(file)
  const folder = dirname(resolve(file ?? '.'))
  const options = await fromJavaSettings(settings, (path) =>
    readFile(resolve(folder, path), 'utf8'),
  )
  const known = brokers.length > 0 ? brokers : options.brokers
  if (known.length === 0)
    throw new VarveError('INVALID_OPTION', 'cannot connect to Kafka: no brokers are given')
  return { ...options, brokers: known }
}

async function read(file: string): Promise<Map<string, string>> {
  try {
    return parseProperties(await readFile(file, 'utf8'))
  } catch (cause) {
    const text = `cannot read the Kafka settings "${file}": ${(cause as Error).message}`
    throw new VarveError('INVALID_OPTION', text, { cause })
  }
}
