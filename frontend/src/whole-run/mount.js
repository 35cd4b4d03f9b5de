import { wholeRun } from '../charts/wholeRun.js'
import { h } from '../dom.js'
import { fixed, percent, signed } from '../numbers.js'
import { alike, bandsOf, enough, FEWEST, fullest, kindsOf, rowKindsOf } from './bands.js'
import { rates } from './rates.js'

const EACH = { 'same item': 'the same item', 'same category': 'the same category', other: 'another category' }

/**
 * Show what a log says beside what runs have learned from it, by place, age and kind of a behaviour.
 *
 * @param {HTMLElement} element what it fills; it must be in the page
 * @param {Object[]} runs `dien.explain.WholeRun` of each as JSON, of the same rows
 */
export function mountWholeRun(element, runs) {
  const parts = [
    h('p', {}, about(runs)),
    h('p', { class: 'summary' }, glance(runs)),
    byKind(runs),
  ]
  const waiting = []
  const kinds = kindsOf(runs)
  for (const [which, across, title] of [
    ['positions', 'place from the end of the history', 'By place of the behaviour'],
    ['ages', 'age of the behaviour', 'By age of the behaviour'],
  ]) {
    const bands = bandsOf(runs, which)
    if (!bands.length) continue
    parts.push(h('h2', {}, title), h('p', {}, 'The line is the click rate in the log; dashes are mean scores. Whiskers are '
      + 'Wilson’s 95 % interval of the click rate, of so many different rows, as if each were clicked by itself. Means of '
      + `fewer than ${FEWEST} rows are left out; the numbers below have them.${alike(runs) ? '' : UNLIKE}`))
    const row = h('div', { class: 'row rates' })
    for (const kind of kinds) {
      if (!bands.some(({ cells }) => cells(kind).some(enough))) continue
      const place = h('div', { class: 'place' })
      row.append(h('figure', {}, h('figcaption', {}, `A behaviour of ${EACH[kind]}`), place))
      waiting.push(() => rates(place, { kind, across, runs, which }))
    }
    parts.push(legend(runs), row)
    if (runs.some(({ layers }) => layers.length)) {
      const place = h('div', {})
      parts.push(h('h3', {}, 'Mean attention'), place)
      waiting.push(() => wholeRun(place, attention(runs, kinds, bands, across)))
    }
    parts.push(numbers(runs, kinds, bands, across))
  }
  element.append(...parts)
  for (const draw of waiting) draw()
}

const UNLIKE = ' These runs read different behaviours: the line is of the one that reads most, and the numbers have the '
  + 'click rate of each beside its score.'

function about(runs) {
  const [{ split, impressions, of_impressions: all, rows, clicked, category }] = runs
  const n = (value) => value.toLocaleString('en')
  const which = impressions < all ? `${n(impressions)} of ${n(all)} impressions, drawn at random,` : `${n(all)} impressions`
  const same = category ? ` Of the same category is another item with the same ${category}.` : ''
  const most = new Set(runs.map(({ reads }) => reads)).size === 1 ? n(runs[0].reads) : runs.map(({ run, reads }) => `${n(reads)} by ${run}`).join(' and ')
  return `${which} of ${split}: ${n(rows)} rows, of which ${percent(clicked)} were clicked. A row counts once for each `
    + `behaviour of its history that is read, at most ${most}.${same}`
}

/** Say at a glance whether repeats decide, whether their place matters, and whether the models know. */
function glance(runs) {
  return kindsOf(runs).filter((kind) => kind !== 'other').flatMap((kind) => {
    const found = bandsOf(runs, 'positions').map(({ name, cells }) => ({ name, cells: cells(kind).map(enough) }))
      .filter(({ cells }) => cells.some(Boolean))
    if (!found.length) return []
    const [newest, oldest] = [found[0], found.at(-1)]
    const models = runs.map((run, r) => `${run.run}: ${[newest, oldest].map(({ cells }) => percent(cells[r]?.score)).join(' and ')}`).join('; ')
    return `A behaviour of ${EACH[kind]} at place ${newest.name}: ${percent(fullest(newest.cells).clicked)} clicked; at `
      + `${oldest.name}: ${percent(fullest(oldest.cells).clicked)} (${models}).`
  }).join(' ')
}

const head = (...names) => h('thead', {}, h('tr', {}, ...names.map((name, k) => h('th', { scope: 'col', class: k ? null : 'left' }, name))))

/** A table of rows by what their history has. */
function byKind(runs) {
  const named = { 'same item': 'the same item', 'same category': 'the same category, not the item', other: 'neither', 'no history': 'nothing' }
  const shared = alike(runs)
  const logged = (cell) => [h('td', {}, cell?.number.toLocaleString('en') ?? '–'), h('td', {}, fixed(cell?.clicked))]
  const each = ({ run }) => [...(shared ? [] : [`Rows, ${run}`, `Clicked, ${run}`]), `Score, ${run}`, 'Difference']
  return h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Rows by what their history has' }, h('table', {},
    head('The history has', ...(shared ? ['Rows', 'Clicked'] : []), ...runs.flatMap(each)),
    h('tbody', {}, ...rowKindsOf(runs).map((kind) => h('tr', {},
      h('th', { scope: 'row', class: 'left' }, named[kind] ?? kind),
      ...(shared ? logged(runs[0].rows_by_kind[kind]) : []),
      ...runs.flatMap((run) => {
        const cell = run.rows_by_kind[kind]
        return [...(shared ? [] : logged(cell)), h('td', {}, fixed(cell?.score)), h('td', {}, cell ? signed(cell.score - cell.clicked) : '–')]
      }))))))
}

function legend(runs) {
  const item = (name, css) => h('span', {}, h('span', { class: `stroke ${css}` }), name)
  return h('p', { class: 'legend' }, item('clicked, in the log', 'log'), ...runs.map(({ run, model }, k) => item(`${run} (${model})`, `run${k}`)))
}

function attention(runs, kinds, bands, across) {
  const panels = runs.flatMap((run, r) => run.layers.map((layer) => ({
    name: `${run.run}: attention to ${layer}`,
    values: kinds.map((kind) => bands.map(({ cells }) => enough(cells(kind)[r])?.attention[layer] ?? null)),
    counts: kinds.map((kind) => bands.map(({ cells }) => cells(kind)[r]?.rows ?? 0)),
  })))
  return {
    title: `Mean attention by ${across}; the numbers are in the table below`, across, columns: bands.map(({ name }) => name), rows: kinds, panels,
  }
}

/** All numbers, for those who would rather read. */
function numbers(runs, kinds, bands, across) {
  const shared = alike(runs)
  const columns = [
    ...(shared ? logged(0, '') : []),
    ...runs.flatMap(({ run }, r) => [...(shared ? [] : logged(r, `, ${run}`)), [`Score, ${run}`, (cells) => fixed(cells[r]?.score)]]),
    ...runs.flatMap(({ run, layers }, r) => layers.map((layer) =>
      [`Attention to ${layer}, ${run}`, (cells) => fixed(cells[r]?.attention[layer], 4)])),
  ]
  const rows = bands.flatMap(({ name, cells }) => kinds.flatMap((kind) => {
    const own = cells(kind)
    if (!own.some(Boolean)) return []
    return [h('tr', {},
      h('th', { scope: 'row', class: 'left' }, name), h('td', {}, kind), ...columns.map(([, of]) => h('td', {}, of(own))))]
  }))
  return h('details', {}, h('summary', {}, 'The numbers'), h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': `Numbers by ${across}` }, h('table', {},
    head(across, 'Behaviour of', ...columns.map(([name]) => name)),
    h('tbody', {}, ...rows))))
}

/** Columns of what the log says of the behaviours that the `r`th run reads. */
const logged = (r, of) => [
  [`Number${of}`, (cells) => cells[r]?.number.toLocaleString('en') ?? '–'],
  [`Rows${of}`, (cells) => cells[r]?.rows.toLocaleString('en') ?? '–'],
  [`Clicked${of}`, (cells) => fixed(cells[r]?.clicked)],
]
