import { h } from '../dom.js'
import { fixed, minute, probability, signed } from '../numbers.js'
import { nameOf, told } from './items.js'
import { readAt } from './reads.js'

/**
 * Say of the behaviour that is shown what it is, and its numbers for the candidate.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state which behaviour and candidate
 * @param {(place: number) => void} [onRemove] makes a button that takes the chosen behaviour out
 * @returns {HTMLElement}
 */
export function detail(explanation, state, onRemove) {
  const { history, guess } = explanation
  const element = h('div', { class: 'detail' })
  const guesses = new Map(guess.map((one) => [one.step, one]))
  const show = () => {
    const k = state.shown
    if (k == null) {
      const hint = 'Point at a behaviour, or move along the history with the arrow keys. A click keeps it.'
      element.replaceChildren(h('p', { class: 'hint' }, hint))
      return
    }
    const { item, time } = history[k]
    const candidate = explanation.candidates[state.candidate]
    const { attention, gate, influence, features } = candidate
    const about = [
      ...told(item),
      ...(item.name == null ? [] : [['id', item.id]]),
    ]
    const guessed = guesses.get(k)
    const numbers = [
      ['influence', influence[k], signed],
      ...Object.entries(attention).map(([layer, of]) => [`attention over ${layer}`, of[k], fixed]),
      ['update gate', gate[k], fixed],
      ...Object.entries(features).map(([name, of]) => [`influence of its ${name}`, of[k], signed]),
      ['guess of the next', guessed, ({ probability: of, rank, among }) => `${probability(of)}, place ${rank} of ${among + 1}`],
    ].filter(([, value]) => value != null)
    const unread = readAt(candidate, k) ? '' : 'not read as a sequence'
    element.replaceChildren(
      h('p', { class: 'title' },
        h('strong', {}, nameOf(item)),
        h('span', {}, [`${k + 1} of ${history.length}`, minute(time), unread, ...about.map(([name, of]) => `${name} ${of}`)].filter(Boolean).join(' · ')),
        onRemove && state.chosen === k
          ? h('button', { type: 'button', onclick: () => onRemove(k) }, 'Remove from the history')
          : null,
      ),
      h('dl', {}, ...numbers.map(([name, value, write]) => h('div', {}, h('dt', {}, name), h('dd', {}, write(value))))),
    )
  }
  state.on(['candidate', 'chosen', 'pointed'], show)
  show()
  return element
}
