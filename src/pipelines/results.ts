// A chunk's result is one tree, durable behind one barrier:
//
//   result              what became of each datum, one JSON line each
//   out/<id>/<path>     what the datum put out

import { assert } from '../base/assert.ts'
import type { DatumRecord, DatumResult, JobInput } from '../model/datum.ts'
import type { Id } from '../model/id.ts'
import { joinPath, parseFilePath, parsePath } from '../model/path.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { VarveError } from '../base/errors.ts'
import type { Objects, TreeWriter } from '../objects/objects.ts'
import { outputPath } from './datum-tree.ts'
import { jsonLines, lines } from './plan.ts'

const RESULT = 'result' as Path

export class ResultWriter {
  readonly #objects: Objects
  readonly #inputs: readonly JobInput[]
  readonly #datums: ReadonlySet<string>
  readonly #writer: TreeWriter

  /** Takes output of these datums only. */
  constructor(objects: Objects, inputs: readonly JobInput[], datums: Iterable<string>) {
    this.#objects = objects
    this.#inputs = inputs
    this.#datums = new Set(datums)
    this.#writer = objects.writer(null)
  }

  /** @throws VarveError INVALID_PATH */
  async put(datum: string, path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#writer.put(this.#at(datum, path), content)
  }

  /** @throws VarveError INVALID_PATH, NOT_FOUND_PATH */
  async copy(datum: string, path: string, input: string, inputPath: string): Promise<void> {
    const from = this.#inputs.find((each) => each.name === input)
    assert(from, `a job without the input "${input}"`)
    const entry = await this.#objects.stat(from.root, parsePath(inputPath))
    if (!entry)
      throw new VarveError(
        'NOT_FOUND_PATH',
        `cannot copy "${inputPath}" of "${input}": no such path`,
      )
    await this.#writer.copy(this.#at(datum, path), entry)
  }

  async drop(datum: string): Promise<void> {
    await this.#writer.delete(outputPath(datum))
  }

  async finish(results: readonly DatumResult[]): Promise<TreeRef> {
    for (const result of results) assert(this.#datums.has(result.id), 'a datum of another chunk')
    await this.#writer.put(RESULT, lines(results))
    return this.#writer.finish()
  }

  abandon(): void {
    this.#writer.abandon()
  }

  #at(datum: string, path: string): Path {
    assert(this.#datums.has(datum), 'a datum of another chunk')
    return parseFilePath(joinPath(outputPath(datum), parseFilePath(path)))
  }
}

export async function* readResults(
  objects: Objects,
  job: Id,
  tree: TreeRef,
): AsyncGenerator<DatumRecord> {
  for await (const result of jsonLines<DatumResult>(objects, tree, RESULT))
    yield { ...result, job, tree }
}
