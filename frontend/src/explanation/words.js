import { h } from '../dom.js'
import { apart, count, day, fixed, probability, signed } from '../numbers.js'
import { nameOf } from './items.js'

/** Less is no more than the rounding of numbers of 32 bits. */
const NOISE = 1e-7

/** Say a candidate's score, and which behaviours speak for it and against it most. */
export function summary(explanation, state) {
  const element = h('p', { class: 'summary' })
  const { history, candidates } = explanation
  const show = () => {
    const { item, score, logit, influence } = candidates[state.candidate]
    const order = influence.map((_, k) => k).sort((a, b) => influence[b] - influence[a])
    const named = (places) => places.flatMap((k, n) => [n ? ', ' : '', reference(history, state, k), ` ${signed(influence[k])}`])
    const supporting = order.filter((k) => influence[k] >= NOISE).slice(0, 2)
    const opposing = order.filter((k) => influence[k] <= -NOISE).slice(-2).reverse()
    element.replaceChildren(
      h('strong', {}, nameOf(item)), ` scores ${probability(score)} (logit ${fixed(logit)}).`,
      ...(supporting.length ? [' Most for it: ', ...named(supporting), '.'] : []),
      ...(opposing.length ? [' Most against it: ', ...named(opposing), '.'] : []),
    )
  }
  state.on(['candidate'], show)
  show()
  return element
}

/** Name a behaviour and say when it was; a click chooses it. */
function reference(history, state, k) {
  const { item, time } = history[k]
  return h('span', {},
    h('button', { type: 'button', class: 'link', onclick: () => state.set({ chosen: k, pointed: null }) }, nameOf(item)),
    h('span', { class: 'when' }, time == null ? ` (${k + 1} of ${history.length})` : ` (${day(time)})`))
}

/** Say which behaviours decide the order of the first two candidates; null where that was not found. */
export function flipped({ flip, history, candidates }, state) {
  if (!flip) return null
  const places = [flip.first, flip.second]
  const [low, high] = flip.after[0] > flip.after[1] ? [1, 0] : [0, 1] // after it
  const [below, above] = [low, high].map((k) => nameOf(candidates[places[k]].item))
  const without = flip.removed.flatMap((k, n) => [n ? ', ' : '', reference(history, state, k)])
  const [more, less] = apart(flip.after[high], flip.after[low])
  const search = flip.exact
    ? 'No smaller set of behaviours does it: all were scored.'
    : `A smaller set may do it too: of all sets ${flip.scored.toLocaleString('en')} were scored.`
  return h('section', {},
    h('h2', {}, 'What decides the order'),
    h('p', { class: 'said' },
      `Without ${count(flip.removed.length, 'behaviour')} (`, ...without, '), ', h('strong', {}, above), ' would be above ',
      h('strong', {}, below), `: ${more} against ${less}. ${search} `,
      h('button', { type: 'button', onclick: () => state.set({ marked: flip.removed, chosen: flip.removed.at(-1), pointed: null }) }, 'Show them in the history')),
  )
}

/** Say how often the extractor guessed the next behaviour right; null where the model has no guess. */
export function guessed({ guess }) {
  if (!guess.length) return null
  const right = guess.filter(({ rank }) => rank <= 1).length
  const among = guess[0].among
  return h('p', {},
    `After ${right} of ${count(guess.length, 'behaviour')} the extractor’s own guess of the next one, among `
    + `${count(among, 'item')} drawn by chance, was right.`)
}
