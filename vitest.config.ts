import { defineConfig } from 'vitest/config'

// `unit` runs in parallel and needs nothing but Node; `real` runs one file at a time against real
// servers, a real Chromium, or the whole product in its own processes.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**', 'test/e2e/**', 'test/tidy/**'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/cluster/**/*.test.ts', 'test/e2e/**/*.test.ts', 'test/tidy/**/*.test.ts'],
          globalSetup: ['test/services/shared.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
