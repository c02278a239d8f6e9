/** Edit distance with transpositions (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = []
  for (let i = 0; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best =
        i === 0
          ? j
          : Math.min(
              (rows[i - 1]?.[j] ?? 0) + 1,
              (row[j - 1] ?? 0) + 1,
              (rows[i - 1]?.[j - 1] ?? 0) + cost,
            )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (rows[i - 2]?.[j - 2] ?? 0) + 1)
      row.push(best)
    }
    rows.push(row)
  }
  return rows[a.length]?.[b.length] ?? 0
}

/** What somebody may have meant: the closest known name within a third of its length, if any. */
export function nearest(wrong: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Infinity
  for (const name of known) {
    const d = distance(wrong.toLowerCase(), name.toLowerCase())
    if (d < bestDistance && d <= Math.max(1, Math.floor(name.length / 3))) {
      best = name
      bestDistance = d
    }
  }
  return best
}
