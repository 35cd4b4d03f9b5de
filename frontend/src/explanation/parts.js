import { mark, signed } from '../numbers.js'
import { lanesOf } from './lanes.js'

const LANE = 18

/**
 * The strips that a candidate has along the history, from the top: lanes, attention, gate, influence, guess.
 *
 * Lanes are the same for all candidates, so that switching between them compares them; so are scales, where the reader
 * wants it.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state which candidate, lanes and feature
 * @returns {{id: string, title: string, height: number, lanes?: string[], ends?: number[],
 *   layers: {id: string, colour: string, points: number[][]}[]}[]} a point is a place of the history with its lane, or
 *   the height of its bar
 */
export function partsOf({ candidates, history, guess }, state) {
  const candidate = candidates[state.candidate]
  const { feature } = state
  const scaled = state.shared ? candidates : [candidate]
  const parts = [lanesPart(history, candidate, state)]
  for (const layer of Object.keys(candidate.attention)) {
    const of = (one) => one.attention[layer] ?? []
    parts.push(barsPart(`attention ${layer}`, `Attention over ${layer}`, scaled, candidate, of, 64, 'accent'))
  }
  if (candidate.gate.length) {
    parts.push(barsPart('gate', 'Update gate: share of the new state taken', scaled, candidate, ({ gate }) => gate, 48, 'dim'))
  }
  if (candidate.influence.length) {
    const whose = feature == null ? 'Influence' : `Influence of ${feature}`
    const of = (one) => (feature == null ? one.influence : one.features[feature] ?? [])
    parts.push(barsPart('influence', `${whose}: up for the candidate, down against it`, scaled, candidate, of, 116, 'accent'))
  }
  if (guess.length) {
    const probabilities = []
    for (const { step, probability } of guess) probabilities[step] = probability
    const title = 'Extractor’s guess: probability of the real next one'
    parts.push(barsPart('guess', title, [probabilities], probabilities, (one) => one, 48, 'dim'))
  }
  return parts
}

function lanesPart(history, candidate, { lanes: feature, marked }) {
  const { names, lane } = lanesOf(history, feature)
  const its = feature == null ? undefined : candidate.item.features[feature]
  const named = new Set(marked)
  const points = (keep) => lane.flatMap((of, k) => (keep(k) ? [[k, of]] : []))
  const own = (k) => its !== undefined && history[k].item.features[feature] === its
  return {
    id: 'lanes',
    title: feature == null ? 'History' : `History by ${feature}`,
    height: names.length * LANE,
    lanes: names,
    layers: [
      { id: 'other lanes', colour: 'faint', points: points((k) => !own(k) && !named.has(k)) },
      { id: 'own lane', colour: 'accent', points: points((k) => own(k) && !named.has(k)) },
      { id: 'marked', colour: 'text', points: points((k) => named.has(k)) },
    ],
  }
}

function barsPart(id, title, scaled, candidate, of, height, colour) {
  let [low, high] = [0, 0]
  for (const one of scaled) {
    for (const value of of(one)) {
      if (value < low) low = value
      if (value > high) high = value
    }
  }
  const values = of(candidate)
  const points = (keep) => {
    const kept = []
    values.forEach((value, k) => value != null && keep(value) && kept.push([k, value]))
    return kept
  }
  return {
    id,
    title,
    height,
    ends: [low, high > low ? high : low + 1],
    layers: [
      { id: `${id} up`, colour, points: points((value) => value >= 0) },
      { id: `${id} down`, colour: 'dim', points: points((value) => value < 0) },
    ],
  }
}

/** Write the ends of a strip's scale: with signs where it has two directions. */
export function scaleLabel([low, high]) {
  const digits = Math.max(1, Math.min(6, 2 - Math.floor(Math.log10(high - low))))
  return (value) => (value === 0 ? '0' : low < 0 ? signed(value, digits) : mark(Number(value.toPrecision(2))))
}
