// Clients in a closed loop: each waits for its own answer before it asks again.

export interface Round {
  readonly latenciesMs: readonly number[]
  readonly perSecond: number
}

/** `clients` loops side by side until the time is over. */
export async function drive(
  clients: number,
  forMs: number,
  one: (client: number, n: number) => Promise<unknown>,
): Promise<Round> {
  const latenciesMs: number[] = []
  const start = performance.now()
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let n = 0; performance.now() - start < forMs; n++) {
        const before = performance.now()
        await one(client, n)
        latenciesMs.push(performance.now() - before)
      }
    }),
  )
  return { latenciesMs, perSecond: (latenciesMs.length / (performance.now() - start)) * 1000 }
}
