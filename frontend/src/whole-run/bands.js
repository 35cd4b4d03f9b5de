/** A mean of fewer rows says nothing: charts leave it out, and the table has it. */
export const FEWEST = 30

/** Leave out what too few rows stand behind. */
export const enough = (cell) => (cell && cell.rows >= FEWEST ? cell : undefined)

/**
 * The bands that any of some runs has: one that reads more of a history has more of them.
 *
 * @param {Object[]} runs `dien.explain.WholeRun` as JSON
 * @param {'positions'|'ages'} which of them
 * @returns {{name: string, first: number, cells: (kind: string) => (Object|undefined)[]}[]} in their order; `cells`
 *   gives what each run has of a kind
 */
export function bandsOf(runs, which) {
  const found = new Map(runs.flatMap((run) => run[which].map((band) => [band.name, band.first])))
  return [...found].sort(([, a], [, b]) => a - b).map(([name, first]) => {
    const own = runs.map((run) => run[which].find((band) => band.name === name))
    return { name, first, cells: (kind) => own.map((band) => band?.cells[kind]) }
  })
}

/** The kinds of behaviours that any of some runs tells apart. */
export const kindsOf = (runs) => [...new Set(runs.flatMap(({ kinds }) => kinds))]

/** The kinds of rows that any of some runs has: those of behaviours, and that without a history. */
export const rowKindsOf = (runs) =>
  [...new Set([...kindsOf(runs), ...runs.flatMap(({ rows_by_kind: of }) => Object.keys(of))])]
    .filter((kind) => runs.some(({ rows_by_kind: of }) => of[kind]))

/** What the log says: the cell of the run that reads most of it. */
export const fullest = (cells) => cells.reduce((most, cell) => (cell && cell.number > (most?.number ?? 0) ? cell : most), undefined)

/** Whether runs read the same behaviours of the same rows, so that one click rate stands beside the scores of all. */
export const alike = (runs) => ['positions', 'ages'].every((which) =>
  bandsOf(runs, which).every(({ cells }) => kindsOf(runs).every((kind) => new Set(cells(kind).map((cell) => cell?.number)).size === 1)))

/**
 * Wilson's interval of a share, at 95 %.
 *
 * @param {number} share what was found
 * @param {number} n of so many
 * @returns {number[]} its ends
 */
export function wilson(share, n) {
  const z = 1.959964
  const middle = share + z ** 2 / (2 * n)
  const half = z * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2))
  return [middle - half, middle + half].map((end) => Math.min(1, Math.max(0, end / (1 + z ** 2 / n))))
}
