import { systemClock } from '../../src/base/clock.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { busContract } from '../contract/bus.ts'

let next = 0
busContract('memory', () =>
  Promise.resolve({
    bus: new MemoryBus({ clock: systemClock }),
    topic: () => Promise.resolve(`topic-${next++}`),
  }),
)
