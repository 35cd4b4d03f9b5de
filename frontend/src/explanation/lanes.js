import { valueOf } from './items.js'

const MOST = 8

/**
 * Sort behaviours into lanes by a feature: a lane for each of the most frequent values, and one for all others.
 *
 * @returns {{names: string[], lane: number[]}} names from the top, and each behaviour's lane
 */
export function lanesOf(history, feature) {
  if (feature == null) return { names: [''], lane: history.map(() => 0) }
  const values = history.map(({ item }) => valueOf(item, feature))
  const counts = new Map()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  const frequent = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a))
  const kept = frequent.slice(0, frequent.length <= MOST ? MOST : MOST - 1)
  const names = kept.length === frequent.length ? kept : [...kept, `${frequent.length - kept.length} others`]
  const laneOf = new Map(kept.map((value, lane) => [value, lane]))
  return { names, lane: values.map((value) => laneOf.get(value) ?? names.length - 1) }
}
