import { h } from '../dom.js'
import { count, minute } from '../numbers.js'
import { byScore, candidateList } from './candidates.js'
import { controls } from './controls.js'
import { detail } from './detail.js'
import { groupings } from './items.js'
import { focusOf, placeIn, rangeIn } from './keeping.js'
import { paths } from './paths.js'
import { hasTimes, placesOf } from './places.js'
import { readsOf } from './reads.js'
import { runs } from './runs.js'
import { State } from './state.js'
import { strips } from './strips.js'
import { numbers } from './table.js'
import { flipped, guessed, summary } from './words.js'

/**
 * Show an explanation: candidates, the history with their numbers along it, paths, runs, words and tables.
 *
 * @param {HTMLElement} element what it fills
 * @param {Object} explanation `dien.explain.Explanation` as JSON
 * @param {{onRemove?: (place: number) => void, onPick?: (candidate: number) => void}} [callbacks] `onRemove` makes
 *   behaviours removable, and is called with the place in `history` of one to take out; `onPick` is called with the
 *   place of a candidate that the reader chose. `candidate` is the place of the one to show first; by default that
 *   with the best score
 * @returns {{update: (explanation: Object, candidate?: number) => void, pick: (candidate: number) => void,
 *   highlight: (place: number|null) => void, dispose: () => void}} `update` shows another explanation, of the same
 *   candidate, behaviour, lanes, layout and window as far as it has them; what had the focus has it again
 */
export function mountExplanation(element, explanation, { onRemove, onPick, candidate } = {}) {
  let state, running, last

  const show = (shown, kept = {}) => {
    last = shown
    state = new State({ candidate: byScore(shown.candidates)[0], lanes: groupings(shown.history)[0] ?? null, ...kept })
    if (!shown.candidates.length) {
      element.replaceChildren(h('p', {}, 'There are no candidates.'))
      running = []
      return
    }
    const timeline = strips(shown, state, onRemove)
    const drawn = [timeline, runs(shown, state), paths(shown, state)].filter(Boolean)
    element.replaceChildren(
      h('div', { class: 'explanation' },
        candidateList(shown, state),
        h('div', { class: 'along' },
          summary(shown, state),
          h('section', {},
            h('h2', {}, 'Along the history'),
            about(shown, state),
            ...(shown.history.length
              ? [controls(shown, state), detail(shown, state, onRemove), timeline.element, guessed(shown)]
              : [])),
          flipped(shown, state),
          ...drawn.slice(1).map((one) => one.element),
          numbers(shown, state)),
      ),
    )
    timeline.start()
    // What is further down follows once the timeline has been drawn, each in a task of its own.
    running = drawn
    for (const one of drawn.slice(1)) setTimeout(() => running === drawn && one.start())
    if (onPick) state.on(['candidate'], () => onPick(state.candidate))
  }

  const dispose = () => {
    for (const one of running) one.dispose()
    element.replaceChildren()
  }
  const update = (next, wanted = state.candidate) => {
    const refocus = focusOf(element)
    element.style.minHeight = `${element.offsetHeight}px` // the page must not jump while charts are drawn anew
    for (const one of running) one.dispose()
    const { byTime: timed, lanes, feature, shared, tables, every, range, chosen } = state
    const byTime = timed && hasTimes(next.history)
    const ends = (history) => placesOf(history, byTime).ends
    const [before, after] = [last.history, next.history]
    show(next, {
      candidate: Math.min(wanted, next.candidates.length - 1), byTime, shared, tables, every,
      chosen: placeIn(before, after, chosen),
      ...(range && byTime === timed && before.length && after.length && {
        range: rangeIn(range, ends(before), ends(after), byTime ? 0 : after.length - before.length),
      }),
      ...(next.candidates[0]?.features[feature] && { feature }),
      ...(groupings(after).includes(lanes) && { lanes }),
    })
    refocus()
    setTimeout(() => { element.style.minHeight = '' }, 100)
  }
  show(explanation, candidate === undefined ? {} : { candidate })
  return {
    update,
    dispose,
    pick: (candidate) => state.set({ candidate }),
    highlight: (place) => state.set({ chosen: place, pointed: null }),
  }
}

/** Say what the history is, how much of it the model reads, and what influence means. */
function about(explanation, state) {
  const { history, candidates, calibrated } = explanation
  const element = h('p')
  const times = history.map(({ time }) => time).filter(Boolean)
  const when = times.length ? `, ${minute(times[0])} to ${minute(times.at(-1))}` : ''
  const meant = `Influence is what the logit loses when the behaviour is left out${calibrated ? ', before calibration' : ''}. `
    + 'Coloured on the lanes: what is as the candidate is.'
  const show = () => {
    const read = readsOf(explanation, candidates[state.candidate])
    element.textContent = history.length
      ? [`${count(history.length, 'behaviour')}, oldest first${when}.`, read, meant].filter(Boolean).join(' ')
      : ['The history is empty.', read].filter(Boolean).join(' ')
  }
  state.on(['candidate'], show)
  show()
  return element
}
