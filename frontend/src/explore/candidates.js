import { h } from '../dom.js'
import { featuresOf, nameOf } from '../explanation/items.js'
import { probability, signed } from '../numbers.js'
import { rover } from './rover.js'

/**
 * Set candidates in a table with their scores by each run, and how much these differ from those of the log's history.
 *
 * A row has the keys of a list: arrows move to another, which is then the one that is shown; Delete removes it.
 *
 * @param {import('./state.js').Edited} edited whose candidates it shows and changes
 * @param {{name: string, model: string}[]} runs
 * @param {{onChange: () => void, onPick: (item: string) => void}} callbacks
 * @returns {{element: HTMLElement, scored: (now: number[][], before: number[][]) => void, unknown: () => void,
 *   add: (item: string) => void}} `scored` shows scores `[run][candidate]`, `unknown` that there are none
 */
export function candidateTable(edited, runs, { onChange, onPick }) {
  const body = h('tbody', {})
  const moves = rover(body, '.pick')
  const rows = new Map()
  const clicked = new Set(edited.logged.clicked.map((place) => edited.logged.candidates[place]))

  const choose = (item) => {
    edited.candidate = item
    for (const [one, { row }] of rows) {
      row.classList.toggle('chosen', one === item)
      row.querySelector('.pick').setAttribute('aria-pressed', String(one === item))
    }
    onPick(item)
  }
  const remove = (item) => {
    const { row } = rows.get(item)
    const beside = row.nextElementSibling ?? row.previousElementSibling
    rows.delete(item)
    edited.candidates = edited.candidates.filter((one) => one !== item)
    const focused = row.contains(document.activeElement)
    row.remove()
    moves.keep()
    if (focused && beside) moves.focus(beside)
    if (edited.candidate === item) choose(edited.candidates[0] ?? null)
    onChange()
  }
  const make = (id) => {
    const item = edited.items.get(id) ?? { id, features: {} }
    const cells = runs.map(() => [h('td', { class: 'score' }, '…'), h('td', { class: 'change' })])
    const row = h(
      'tr',
      { 'data-row': '' },
      h('th', { scope: 'row', class: 'left' },
        h('button', { class: 'pick', type: 'button', tabindex: -1, 'aria-pressed': 'false', onclick: () => choose(id) },
          h('span', { class: 'name' }, nameOf(item)),
          h('span', { class: 'features' }, [clicked.has(id) && 'clicked', featuresOf(item)].filter(Boolean).join(' · ')))),
      ...cells.flat(),
      h('td', {}, h('button', {
        class: 'out', type: 'button', tabindex: -1, 'aria-label': `Remove candidate ${nameOf(item)}`, onclick: () => remove(id),
      }, 'Remove')),
    )
    rows.set(id, { row, cells })
    return row
  }
  body.addEventListener('keydown', (event) => {
    const row = event.target.closest('[data-row]')
    if (row && (event.key === 'Delete' || event.key === 'Backspace')) {
      event.preventDefault()
      remove([...rows].find(([, one]) => one.row === row)[0])
    }
  })
  body.addEventListener('focusin', (event) => {
    const row = event.target.classList.contains('pick') && event.target.closest('[data-row]')
    const item = row && [...rows].find(([, one]) => one.row === row)[0]
    if (item && item !== edited.candidate && !event.target.matches(':active')) choose(item)
  })
  body.append(...edited.candidates.map(make))
  moves.keep()
  const titles = h('tr', {},
    h('th', { scope: 'col', class: 'left' }, 'Candidate'),
    ...runs.flatMap(() => [h('th', { scope: 'col', class: 'score' }, 'Score'), h('th', { scope: 'col', class: 'change' }, 'Change')]),
    h('th', { scope: 'col', class: 'last' }, h('span', { class: 'unseen' }, 'Remove')))
  // Two models are told apart by what they are, two runs of one model by their names.
  const told = ({ name, model }) => (new Set(runs.map((run) => run.model)).size > 1 ? model : name)
  const groups = h('tr', {},
    h('td', {}), ...runs.map(({ name, model }) => h('th', { scope: 'colgroup', colspan: 2, class: 'of', title: name }, told({ name, model }))), h('td', {}))
  const table = h(
    'table',
    { class: runs.length > 1 ? 'scores several' : 'scores' },
    h('colgroup', {}, h('col', {}), ...runs.flatMap(() => [h('col', { class: 'score' }), h('col', { class: 'change' })]), h('col', { class: 'last' })),
    h('thead', {}, runs.length > 1 ? groups : null, titles),
    body,
  )
  if (edited.candidate !== null) {
    const { row } = rows.get(edited.candidate)
    row.classList.add('chosen')
    row.querySelector('.pick').setAttribute('aria-pressed', 'true')
  }
  return {
    element: table,
    scored: (now, before) => {
      for (const [b, item] of edited.candidates.entries()) {
        const cells = rows.get(item)?.cells ?? []
        for (const [r, [score, change]] of cells.entries()) {
          score.textContent = probability(now[r][b])
          score.dataset.value = now[r][b]
          change.textContent = changeOf(now[r][b], before[r][b])
        }
      }
    },
    unknown: () => {
      for (const [score, change] of [...rows.values()].flatMap(({ cells }) => cells)) {
        score.textContent = '–'
        delete score.dataset.value
        change.textContent = ''
      }
    },
    add: (item) => {
      if (!edited.candidates.includes(item)) {
        edited.candidates = [...edited.candidates, item]
        body.append(make(item))
        moves.keep()
      }
      choose(item)
      onChange()
    },
  }
}

/** Write how far a score is from another; what is but rounding is no change. */
const changeOf = (now, before) => (Math.abs(now - before) < 1e-7 ? '' : signed(now - before, 4))
