import type { OptionSpecs } from '../../src/connector/mod.ts'

export const SOURCE_OPTIONS = {
  path: {
    type: 'text',
    required: true,
    help: 'a file to follow as it grows, or a folder whose files are followed; hidden ones are not',
  },
  pollMs: { type: 'integer', default: 200, min: 1, help: 'how often to look for new lines' },
} as const satisfies OptionSpecs

export const SINK_OPTIONS = {
  path: { type: 'text', required: true, help: 'the file that lines are appended to' },
} as const satisfies OptionSpecs
