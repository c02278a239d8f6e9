// Specs of pipelines, drawn at random, that pods accept; values that no object may hold are planted in them.

import fc from 'fast-check'

/** Part of every value that goes with a datum and never into an object of the cluster. */
export const CANARY = 'canary-7f3a'

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,51}$/)
const word = fc.stringMatching(/^[a-z0-9](?:[-a-z0-9]{0,30}[a-z0-9])?$/)
const value = fc.stringMatching(/^[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/)
const planted = fc.string({ maxLength: 20 }).map((text) => `${text.replaceAll('\0', '')}${CANARY}`)
const variable = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/).map((text) => `X_${text}`)
const image = fc.tuple(
  fc.constantFrom('', 'registry.example.com:5000/', 'localhost/'),
  word,
  fc.constantFrom('', ':latest', ':1.0', `@sha256:${'0f'.repeat(32)}`),
)
const secret = (i: number): fc.Arbitrary<object> =>
  fc.oneof(
    fc.record({ name: word, key: value, envVar: variable.map((text) => `${text}_${i}`) }),
    fc.record({ name: word, key: value, mountPath: word.map((text) => `/secrets${i}/${text}`) }),
    fc.record({ name: word, mountPath: word.map((text) => `/mnt${i}/${text}`) }),
  )
const gpu = fc.record({
  type: fc.constantFrom('nvidia.com/gpu', 'amd.com/gpu'),
  number: fc.integer({ min: 0, max: 8 }),
})
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })

export const projects = name

export const documents: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc.record({
  pipeline: fc.record({ name }),
  description: some(planted),
  transform: fc.record({
    image: image.map((parts) => parts.join('')),
    cmd: fc.array(planted, { minLength: 1, maxLength: 3 }),
    stdin: some(fc.array(planted, { maxLength: 3 })),
    errCmd: some(fc.array(planted, { minLength: 1, maxLength: 3 })),
    env: some(fc.dictionary(variable, planted, { maxKeys: 5 })),
    workingDir: some(word.map((text) => `/${text}/${CANARY}`)),
    user: some(
      fc.oneof(
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        fc
          .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 }))
          .map((ids) => ids.join(':')),
      ),
    ),
    secrets: some(
      fc
        .integer({ min: 0, max: 6 })
        .chain((n) => fc.tuple(...Array.from({ length: n }, (_, i) => secret(i)))),
    ),
    imagePullSecrets: some(fc.array(word, { maxLength: 3 })),
  }),
  input: fc.constant({ pfs: { repo: 'images', glob: '/*' } }),
  resourceRequests: some(
    fc.record({
      cpu: fc.constantFrom('100m', '0.5', 1, '2'),
      memory: fc.constantFrom('64Mi', '1G', 1_048_576),
      disk: some(fc.constantFrom('1Gi', '5G')),
    }),
  ),
  resourceLimits: some(
    fc.record({
      cpu: some(fc.constantFrom('2', '4000m', 8)),
      memory: some(fc.constantFrom('2Gi', '3G')),
      disk: some(fc.constantFrom('10Gi', '20G')),
      gpu: some(gpu),
    }),
  ),
  schedulingSpec: some(
    fc.record({
      nodeSelector: fc.dictionary(word, value, { maxKeys: 4 }),
      priorityClassName: some(word.map((text) => `p-${text}`)),
    }),
  ),
  tolerations: some(
    fc.array(
      fc.record({
        key: word,
        operator: fc.constantFrom('Exists', 'EXISTS'),
        effect: some(fc.constantFrom('NoSchedule', 'NO_EXECUTE')),
      }),
      { maxLength: 4 },
    ),
  ),
  metadata: some(
    fc.record({
      labels: fc.dictionary(word, value, { maxKeys: 5 }),
      annotations: fc.dictionary(
        word,
        fc.string({ maxLength: 50 }).map((text) => text.replaceAll('\0', '')),
        { maxKeys: 5 },
      ),
    }),
  ),
})
