import { h } from '../dom.js'
import { fixed, minute, probability, signed } from '../numbers.js'
import { nameOf } from './items.js'

const CHUNK = 60

/**
 * Set every number of the chosen candidate in tables, for who cannot see the charts. Rows are made once the tables are
 * opened, a few at a time, so that the page answers meanwhile.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state which candidate
 * @returns {HTMLElement}
 */
export function numbers(explanation, state) {
  const { history, candidates, guess } = explanation
  const body = h('div')
  const element = h('details', { class: 'numbers', open: state.tables }, h('summary', {}, 'All numbers as tables'), body)
  const guesses = new Map(guess.map((one) => [one.step, one]))
  const named = [...new Set(history.flatMap(({ item }) => Object.keys(item.features)))]
  let turn = 0

  const show = async () => {
    if (!element.open) return
    const mine = ++turn
    const { item, runs, attention, gate, influence, path, features } = candidates[state.candidate]
    const columns = [
      ['place', (k) => k + 1],
      ['behaviour', (k) => nameOf(history[k].item)],
      ['time', (k) => minute(history[k].time) || '–'],
      ...named.map((name) => [name, (k) => history[k].item.features[name] ?? '–']),
      ...(influence.length ? [['influence', (k) => signed(influence[k], 4)]] : []),
      ...Object.entries(features).map(([name, of]) => [`influence of ${name}`, (k) => signed(of[k], 4)]),
      ...Object.entries(attention).map(([layer, of]) => [`attention over ${layer}`, (k) => fixed(of[k], 4)]),
      ...(gate.length ? [['update gate', (k) => fixed(gate[k], 4)]] : []),
      ...(path.length ? [['axis 1', (k) => fixed(path[k]?.[0])], ['axis 2', (k) => fixed(path[k]?.[1])]] : []),
      ...(guess.length
        ? [['guess of the next', (k) => probability(guesses.get(k)?.probability)], ['its place', (k) => guesses.get(k)?.rank ?? '–']]
        : []),
    ]
    const rows = h('tbody')
    body.replaceChildren(
      table(`Candidates`, ['candidate', 'score', 'logit'],
        h('tbody', {}, ...candidates.map((one) => row([nameOf(one.item), probability(one.score), fixed(one.logit, 4)], [0])))),
      ...(runs.length
        ? [table(`Runs of behaviours, for ${nameOf(item)}`, ['run', 'first', 'last', 'influence'],
            h('tbody', {}, ...runs.map((run) => row([run.name, run.first + 1, run.last + 1, signed(run.influence, 4)], [0]))))]
        : []),
      table(`Behaviours, for ${nameOf(item)}`, columns.map(([name]) => name), rows, named.length + 3),
    )
    for (let from = 0; from < history.length && mine === turn; from += CHUNK) {
      const some = history.slice(from, from + CHUNK).map((_, k) => row(columns.map(([, of]) => of(from + k)), [1], named.length + 3))
      rows.append(...some)
      await new Promise((done) => setTimeout(done))
    }
  }
  element.addEventListener('toggle', () => {
    state.tables = element.open
    show()
  })
  state.on(['candidate'], show)
  return element
}

const table = (caption, head, body, left = 1) =>
  h('div', { class: 'wide', tabindex: 0, role: 'group', 'aria-label': caption },
    h('table', {}, h('caption', {}, caption),
      h('thead', {}, h('tr', {}, ...head.map((name, k) => h('th', { scope: 'col', class: k < left && 'left' }, name)))), body))

const row = (cells, heads, left = 1) =>
  h('tr', {}, ...cells.map((cell, k) => h(heads.includes(k) ? 'th' : 'td', { scope: heads.includes(k) && 'row', class: k < left && 'left' }, cell)))
