import { h } from '../dom.js'
import { fixed, minute, signed } from '../numbers.js'
import { nameOf, told } from './items.js'

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
    const { attention, gate, influence, features } = explanation.candidates[state.candidate]
    const about = [
      ...told(item),
      ...(item.name == null ? [] : [['id', item.id]]),
    ]
    const guessed = guesses.get(k)
    const numbers = [
      ...(influence.length ? [['influence', signed(influence[k])]] : []),
      ...Object.entries(attention).map(([layer, of]) => [`attention over ${layer}`, fixed(of[k])]),
      ...(gate.length ? [['update gate', fixed(gate[k])]] : []),
      ...Object.entries(features).map(([name, of]) => [`influence of its ${name}`, signed(of[k])]),
      ...(guessed ? [['guess of the next', `${fixed(guessed.probability)}, place ${guessed.rank} of ${guessed.among + 1}`]] : []),
    ]
    element.replaceChildren(
      h('p', { class: 'title' },
        h('strong', {}, nameOf(item)),
        h('span', {}, [`${k + 1} of ${history.length}`, minute(time), ...about.map(([name, of]) => `${name} ${of}`)].filter(Boolean).join(' · ')),
        onRemove && state.chosen === k
          ? h('button', { type: 'button', onclick: () => onRemove(k) }, 'Remove from the history')
          : null,
      ),
      h('dl', {}, ...numbers.map(([name, of]) => h('div', {}, h('dt', {}, name), h('dd', {}, of)))),
    )
  }
  state.on(['candidate', 'chosen', 'pointed'], show)
  show()
  return element
}
