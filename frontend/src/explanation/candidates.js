import { h } from '../dom.js'
import { probability } from '../numbers.js'
import { featuresOf, nameOf } from './items.js'

const STEPS = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -8, PageDown: 8 }

/** Places of candidates, the best score first. */
export const byScore = (candidates) =>
  candidates.map((_, k) => k).sort((a, b) => candidates[b].score - candidates[a].score || a - b)

/**
 * List candidates by their scores; arrows, Home and End, or a click, choose the one that is shown.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state whose `candidate` it sets
 * @returns {HTMLElement}
 */
export function candidateList({ candidates }, state) {
  const id = `candidates-${Math.random().toString(36).slice(2)}`
  const order = byScore(candidates)
  const most = candidates[order[0]].score
  const options = order.map((k) => {
    const { item, score } = candidates[k]
    const bar = h('span', { class: 'bar' })
    bar.style.width = `${most > 0 ? (100 * score) / most : 0}%`
    return h(
      'div', { role: 'option', id: `${id}-${k}`, onclick: () => state.set({ candidate: k }) },
      h('span', { class: 'name' }, nameOf(item)),
      h('span', { class: 'score' }, probability(score)),
      h('span', { class: 'features' }, featuresOf(item)),
      bar,
    )
  })
  const list = h('div', { class: 'options', role: 'listbox', tabindex: 0, 'aria-labelledby': id }, ...options)
  const at = () => order.indexOf(state.candidate)
  const choose = (place) => state.set({ candidate: order[Math.min(order.length - 1, Math.max(0, place))] })
  list.addEventListener('keydown', (event) => {
    if (event.key in STEPS) choose(at() + STEPS[event.key])
    else if (event.key === 'Home' || event.key === 'End') choose(event.key === 'Home' ? 0 : order.length - 1)
    else return
    event.preventDefault()
  })
  let selected
  const show = () => {
    selected?.setAttribute('aria-selected', false)
    selected = options[at()]
    selected.setAttribute('aria-selected', true)
    list.setAttribute('aria-activedescendant', selected.id)
  }
  const follow = () => {
    show()
    const { offsetTop, offsetHeight } = selected
    if (offsetTop < list.scrollTop) list.scrollTop = offsetTop
    if (offsetTop + offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = offsetTop + offsetHeight - list.clientHeight
    }
  }
  state.on(['candidate'], follow)
  for (const option of options) option.setAttribute('aria-selected', false)
  show()
  return h('section', { class: 'candidates' }, h('h2', { id }, 'Candidates'), list)
}
