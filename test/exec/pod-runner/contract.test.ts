import { PodRunner } from '../../../src/exec/adapters/kubernetes/pod-runner.ts'
import { PodScratch } from '../../../src/exec/adapters/kubernetes/pod-scratch.ts'
import { runnerContract } from '../../contract/runner.ts'
import { missingTools } from '../../services/need.ts'
import { UserContainer } from './container.ts'

const sh = (script: string): string[] => ['sh', '-c', script]

if (missingTools('bwrap', 'busybox').length === 0)
  runnerContract(
    'a pod',
    async () => {
      const container = new UserContainer()
      const runner = await PodRunner.open(container, new AbortController().signal)
      return {
        runner,
        scratch: new PodScratch(container),
        cmd: {
          upper: sh('tr a-z A-Z < /pfs/in/a > /pfs/out/a'),
          fail: sh('echo one; echo bad >&2; echo two; exit 7'),
          hang: sh('echo started; sleep 1000 & sleep 1000'),
          env: sh('echo "$GREETING"; echo "${HOME:-none}"'),
          missing: ['no-such-program'],
        },
        edit: () => Promise.resolve(),
        close: async () => {
          await runner.close()
          await container.close()
        },
      }
    },
    false,
  )
