import { wholeRun } from '../charts/wholeRun.js'
import { h } from '../dom.js'
import { fixed, percent, signed } from '../numbers.js'
import { enough, FEWEST, rates } from './rates.js'

const EACH = { 'same item': 'the same item', 'same category': 'the same category', other: 'another category' }

/**
 * Show what a log says beside what runs have learned from it, by place, age and kind of a behaviour.
 *
 * @param {HTMLElement} element what it fills; it must be in the page
 * @param {Object[]} runs `dien.explain.WholeRun` of each as JSON, of the same rows
 */
export function mountWholeRun(element, runs) {
  const [first] = runs
  const parts = [
    h('p', {}, about(first)),
    h('p', { class: 'summary' }, glance(runs)),
    byKind(runs),
  ]
  const waiting = []
  for (const [name, across, title] of [
    ['positions', 'place from the end of the history', 'By place of the behaviour'],
    ['ages', 'age of the behaviour', 'By age of the behaviour'],
  ]) {
    if (!first[name].length) continue
    parts.push(h('h2', {}, title), h('p', {}, 'The line is the click rate in the log; dashes are mean scores. Whiskers '
      + `are two standard errors of the click rate. Means of fewer than ${FEWEST} are left out; the numbers below have them.`))
    const row = h('div', { class: 'row rates' })
    for (const kind of first.kinds) {
      if (!first[name].some(({ cells }) => enough(cells[kind]))) continue
      const place = h('div', { class: 'place' })
      row.append(h('figure', {}, h('figcaption', {}, `A behaviour of ${EACH[kind]}`), place))
      waiting.push(() => rates(place, { kind, across, runs, bands: name }))
    }
    parts.push(legend(runs), row)
    const attended = runs.filter(({ layers }) => layers.length)
    if (attended.length) {
      const place = h('div', {})
      parts.push(h('h3', {}, 'Mean attention'), place)
      waiting.push(() => wholeRun(place, attention(attended, name, across)))
    }
    parts.push(numbers(runs, name, across))
  }
  element.append(...parts)
  for (const draw of waiting) draw()
}

function about({ split, impressions, of_impressions: all, rows, clicked, category, reads }) {
  const n = (value) => value.toLocaleString('en')
  const which = impressions < all ? `${n(impressions)} of ${n(all)} impressions, drawn at random,` : `${n(all)} impressions`
  const same = category ? ` Of the same category is another item with the same ${category}.` : ''
  return `${which} of ${split}: ${n(rows)} rows, of which ${percent(clicked)} were clicked. A row counts once for each `
    + `behaviour of its history that is read, at most ${n(reads)}.${same}`
}

/** Say at a glance whether repeats decide, whether their place matters, and whether the models know. */
function glance(runs) {
  const [first] = runs
  const cells = (name) => first.positions.flatMap((band, k) =>
    enough(band.cells[name]) ? [{ ...band.cells[name], name: band.name, scores: runs.map((run) => run.positions[k]?.cells[name]?.score) }] : [])
  return first.kinds.filter((kind) => kind !== 'other').flatMap((kind) => {
    const found = cells(kind)
    if (!found.length) return []
    const [newest, oldest] = [found[0], found.at(-1)]
    const models = runs.map((run, r) => `${run.run}: ${percent(newest.scores[r])} and ${percent(oldest.scores[r])}`).join('; ')
    return `A behaviour of ${EACH[kind]} at place ${newest.name}: ${percent(newest.clicked)} clicked; at ${oldest.name}: `
      + `${percent(oldest.clicked)} (${models}).`
  }).join(' ')
}

const head = (...names) => h('thead', {}, h('tr', {}, ...names.map((name, k) => h('th', { scope: 'col', class: k ? null : 'left' }, name))))

/** A table of rows by what their history has. */
function byKind(runs) {
  const [first] = runs
  const named = { 'same item': 'the same item', 'same category': 'the same category, not the item', other: 'neither', 'no history': 'nothing' }
  return h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Rows by what their history has' }, h('table', {},
    head('The history has', 'Rows', 'Clicked', ...runs.flatMap(({ run }) => [`Score, ${run}`, 'Difference'])),
    h('tbody', {}, ...Object.entries(first.rows_by_kind).map(([kind, cell]) => h('tr', {},
      h('th', { scope: 'row', class: 'left' }, named[kind] ?? kind),
      h('td', {}, cell.number.toLocaleString('en')),
      h('td', {}, fixed(cell.clicked)),
      ...runs.flatMap((run) => {
        const { score } = run.rows_by_kind[kind]
        return [h('td', {}, fixed(score)), h('td', {}, signed(score - cell.clicked))]
      }))))))
}

function legend(runs) {
  const item = (name, css) => h('span', {}, h('span', { class: `stroke ${css}` }), name)
  return h('p', { class: 'legend' }, item('clicked, in the log', 'log'), ...runs.map(({ run, model }, k) => item(`${run} (${model})`, `run${k}`)))
}

function attention(runs, name, across) {
  const [first] = runs
  const columns = first[name].map((band) => band.name)
  const panels = runs.flatMap((run) => run.layers.map((layer) => ({
    name: `${run.run}: attention to ${layer}`,
    values: run.kinds.map((kind) => run[name].map(({ cells }) => enough(cells[kind])?.attention[layer] ?? null)),
    counts: run.kinds.map((kind) => run[name].map(({ cells }) => cells[kind]?.number ?? 0)),
  })))
  return { title: `Mean attention by ${across}; the numbers are in the table below`, across, columns, rows: first.kinds, panels }
}

/** All numbers, for those who would rather read. */
function numbers(runs, name, across) {
  const [first] = runs
  const layers = runs.flatMap((run) => run.layers.map((layer) => [run, layer]))
  const rows = first[name].flatMap((band, k) => first.kinds.flatMap((kind) => {
    const cell = band.cells[kind]
    if (!cell) return []
    return [h('tr', {},
      h('th', { scope: 'row', class: 'left' }, band.name), h('td', {}, kind), h('td', {}, cell.number.toLocaleString('en')),
      h('td', {}, fixed(cell.clicked)),
      ...runs.map((run) => h('td', {}, fixed(run[name][k]?.cells[kind]?.score))),
      ...layers.map(([run, layer]) => h('td', {}, fixed(run[name][k]?.cells[kind]?.attention[layer], 4))))]
  }))
  return h('details', {}, h('summary', {}, 'The numbers'), h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': `Numbers by ${across}` }, h('table', {},
    head(across, 'Behaviour of', 'Number', 'Clicked', ...runs.map(({ run }) => `Score, ${run}`), ...layers.map(([run, layer]) => `Attention to ${layer}, ${run.run}`)),
    h('tbody', {}, ...rows))))
}
