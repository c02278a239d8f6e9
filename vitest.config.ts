import { defineConfig } from 'vitest/config'

// `unit` runs in parallel and needs nothing but Node; `real` runs one file at a time against real
// servers, a real Chromium, or the whole product in its own processes; `kubernetes` (npm run
// test:kubernetes) on a real Kubernetes, which is built once.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/cluster/**',
            'test/e2e/**',
            'test/tidy/**',
            'test/kubernetes/**',
            'test/helm/**',
          ],
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
      {
        test: {
          name: 'kubernetes',
          include: ['test/helm/**/*.test.ts', 'test/kubernetes/**/*.test.ts'],
          globalSetup: ['test/services/shared.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          // The first run builds Kubernetes.
          hookTimeout: 2_400_000,
        },
      },
    ],
  },
})
