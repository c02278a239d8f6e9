// Which member of a group gets which partitions: as equal as can be, and each keeps what it had as far
// as that allows, because a partition that moves costs its new owner a start.

export interface Claim {
  readonly memberId: string
  /** What it had, and in which generation; of two claims the later one counts. */
  readonly generation: number
  readonly partitions: readonly number[]
}

/** Every partition to exactly one member; numbers differ by one at most. The order of claims is of no
 * account. */
export function assignPartitions(
  partitions: readonly number[],
  claims: readonly Claim[],
): Map<string, number[]> {
  const members = claims.toSorted(
    (a, b) => b.generation - a.generation || (a.memberId < b.memberId ? -1 : 1),
  )
  const given = new Map(members.map(({ memberId }) => [memberId, [] as number[]]))
  if (members.length === 0) return given
  const least = Math.floor(partitions.length / members.length)
  let larger = partitions.length % members.length
  const free = new Set(partitions)
  for (const { memberId, partitions: had } of members) {
    const own = given.get(memberId) ?? []
    for (const partition of had) {
      if (own.length >= least + (larger > 0 ? 1 : 0)) break
      if (free.delete(partition)) own.push(partition)
    }
    if (own.length > least) larger--
  }
  const rest = [...free].toSorted((a, b) => a - b)
  for (const limit of [least, least + 1])
    for (const own of given.values())
      while (own.length < limit && rest.length > 0) own.push(rest.shift() ?? 0)
  for (const own of given.values()) own.sort((a, b) => a - b)
  return given
}
