// What the golden stores hold, one of every form the format has. It does not change once a format is
// released: the stores beside it are of this content.

import { concat, utf8 } from '../../../src/base/bytes.ts'
import type { TreeRef } from '../../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../../src/objects/engine.ts'
import { blocksCutEach16KiB, noise, p, prose } from '../fixture.ts'

export interface Golden {
  /** Two commits, the second made of the first by `run`. */
  readonly first: TreeRef
  readonly second: TreeRef
  readonly run: TreeRef
}

export async function writeGolden(engine: ObjectEngine): Promise<Golden> {
  const writer = engine.writer(null)
  await writer.put(p('empty'), new Uint8Array(0))
  await writer.put(p('inline'), utf8('tiny'), {
    contentType: 'text/plain',
    md5: '9d63f6e0a1d5c5a3ad1bd5f7c8a0b3ac',
    user: { Größe: 'klein', owner: 'someone' },
  })
  await writer.put(p('one chunk'), prose(1, 5_000))
  await writer.put(p('no cut'), new Uint8Array(200_000))
  await writer.put(p('list'), concat([noise(2, 90_000), prose(3, 200_000)]))
  await writer.put(p('long list'), blocksCutEach16KiB(2_400))
  for (let i = 0; i < 2_500; i++)
    await writer.put(p(`large/entry ${i} ${'é'.repeat(i % 7)}`), utf8(`${i * i}`))
  for (let i = 0; i < 30; i++) await writer.put(p(`small/${i % 3}/${i}`), prose(i, 40 * i))
  for (let i = 0; i < 40; i++) await writer.put(p(`middle/${i}`), prose(i, 480))
  await writer.put(p('replaced/by what'), utf8('a file'))
  const { root: first } = await writer.finishOnto(null)
  const next = engine.writer(first)
  await next.delete(p('small/1'))
  await next.delete(p('replaced'))
  await next.put(p('replaced'), utf8('now a file'))
  await next.append(p('inline'), utf8(' and more'))
  await next.patch(p('list'), [
    { offset: 10, deleteBytes: 5, content: utf8('ten') },
    { offset: 150_000, deleteBytes: 0, content: noise(4, 700) },
  ])
  await next.put(p('new'), prose(9, 3_000))
  await next.append(p('new'), prose(10, 100))
  const { root: second, run } = await next.finishOnto(first)
  return { first, second, run }
}
