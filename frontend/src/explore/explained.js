import { post } from './api.js'

/** So many candidates are explained at most: an answer has several numbers for each of them and each behaviour. */
const MOST = 50

/**
 * Find what to ask an explanation of: all candidates, or the chosen one and those that score best.
 *
 * @param {import('./state.js').Edited} edited
 * @param {{longest: number, explains: number}[]} runs
 * @param {number} run place of the run
 * @param {AbortSignal} signal
 * @returns {Promise<{request: Object, of: number}>} `of` is how many candidates there are
 */
export async function explained(edited, runs, run, signal) {
  const request = edited.request(run)
  const { candidates, history } = request
  const { longest, explains } = runs[run]
  const read = Math.max(1, Math.min(longest, history.length))
  const most = Math.max(1, Math.min(MOST, Math.floor(explains / read)))
  if (candidates.length <= most) return { request, of: candidates.length }
  const chosen = edited.candidate
  const scores = await post('/api/score', request, signal)
  const best = candidates.map((_, k) => k).sort((a, b) => scores[b] - scores[a] || a - b).map((k) => candidates[k])
  const kept = new Set([chosen, ...best.filter((id) => id !== chosen)].slice(0, most))
  return { request: { ...request, candidates: candidates.filter((id) => kept.has(id)) }, of: candidates.length }
}

/** Say which candidates are explained, where that is not all of them. */
export function bound(explaining, of) {
  return explaining < of
    ? `Explained: ${explaining.toLocaleString('en')} of ${of.toLocaleString('en')} candidates, the chosen one and those that score best.`
    : ''
}
