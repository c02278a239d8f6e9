// What code is where it runs elsewhere: what its pipeline says of it. The files it is made of lie in an
// image that this process does not see, so the image's name stands for them: a tag that moves to other
// code is not noticed, a digest or a new tag is.

import { createHash } from 'node:crypto'
import type { Runner } from '../exec/runner.ts'
import { VarveError } from '../base/errors.ts'

export const codeElsewhere: Runner = {
  mountsPfs: true,
  identify: async ({ image = '', code = [] }) => {
    if (code.length > 0)
      throw new VarveError(
        'CODE_FAILED',
        `cannot look at the code files ${code.map((one) => `"${one}"`).join(', ')}: on a cluster the image is the code`,
      )
    return createHash('sha256').update(`image ${image}`).digest('hex')
  },
  run: () => Promise.reject(new Error('no code runs in this process')),
  close: () => Promise.resolve(),
}
