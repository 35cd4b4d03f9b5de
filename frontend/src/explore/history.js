import { h } from '../dom.js'
import { featuresOf, nameOf } from '../explanation/items.js'
import { rover } from './rover.js'

const written = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')

/**
 * List a history, the newest first, to take behaviours out, put them back and move them.
 *
 * A row has the keys of a list: arrows move to another, Delete takes it out or puts it back, Alt and an arrow move it.
 * A row can be dragged, too. Times stay at their places of the list.
 *
 * @param {import('./state.js').Edited} edited whose entries it shows and changes
 * @param {{onChange: () => void, onPick: (entry: Object) => void, timed: boolean}} callbacks
 * @returns {{element: HTMLElement, takeOut: (entry: Object) => void, prepend: (entry: Object) => void}} `takeOut` does
 *   nothing to one that is out
 */
export function historyList(edited, { onChange, onPick, timed }) {
  const list = h('ol', { class: 'behaviours', 'aria-label': 'Behaviours, the newest first' })
  const rows = new Map()
  const entryOf = new Map()
  const moves = rover(list, '.pick')
  const said = h('span', { class: 'unseen', role: 'status' })
  let dragged = null

  const show = (entry) => {
    const row = rows.get(entry)
    row.classList.toggle('removed', entry.removed)
    const name = nameOf(edited.items.get(entry.item) ?? { id: entry.item })
    const button = row.querySelector('.out')
    button.textContent = entry.removed ? 'Put back' : 'Remove'
    button.setAttribute('aria-label', `${entry.removed ? 'Put back' : 'Remove'} ${name}`)
  }
  const more = (entry) => {
    const time = timed && entry.time !== null ? written(entry.time) : ''
    const features = featuresOf(edited.items.get(entry.item) ?? { id: entry.item, features: {} })
    return [features, entry.place === null && 'added', time].filter(Boolean).join(' · ')
  }
  /** Have these entries, and show the times that they have there. */
  const arrange = (entries) => {
    edited.arrange(entries)
    for (const [entry, row] of rows) {
      const place = row.querySelector('.features')
      const text = more(entry)
      if (place.textContent !== text) place.textContent = text
    }
  }
  const toggle = (entry) => {
    entry.removed = !entry.removed
    show(entry)
    said.textContent = entry.removed ? 'Removed' : 'Put back'
    onChange()
  }
  const make = (entry) => {
    const item = edited.items.get(entry.item) ?? { id: entry.item, features: {} }
    const row = h(
      'li',
      { 'data-row': '', draggable: 'true' },
      h('button', { class: 'pick', type: 'button', tabindex: -1, onclick: () => onPick(entry) },
        h('span', { class: 'name' }, nameOf(item)),
        h('span', { class: 'features' })),
      h('button', { class: 'out', type: 'button', tabindex: -1, onclick: () => toggle(entry) }, 'Remove'),
    )
    rows.set(entry, row)
    entryOf.set(row, entry)
    if (entry.removed || entry.place === null) row.classList.toggle('added', entry.place === null)
    show(entry)
    return row
  }
  /** Move an entry before another row of the list, which is newer ones first; null is the end. */
  const move = (row, before) => {
    if (row === before || row.nextElementSibling === before) return
    list.insertBefore(row, before)
    arrange([...list.children].map((one) => entryOf.get(one)).reverse())
    onChange()
  }
  list.addEventListener('keydown', (event) => {
    const row = event.target.closest('[data-row]')
    if (!row) return
    if (event.key === 'Delete' || event.key === 'Backspace') toggle(entryOf.get(row))
    else if (event.altKey && event.key === 'ArrowUp' && row.previousElementSibling) move(row, row.previousElementSibling)
    else if (event.altKey && event.key === 'ArrowDown' && row.nextElementSibling) {
      move(row, row.nextElementSibling.nextElementSibling)
    } else return
    event.preventDefault()
    moves.focus(row)
    if (event.altKey) said.textContent = `Now ${[...list.children].indexOf(row) + 1} of ${list.children.length}`
  })
  list.addEventListener('dragstart', (event) => {
    dragged = event.target.closest('[data-row]')
    event.dataTransfer.effectAllowed = 'move'
    event.dataTransfer.setData('text/plain', entryOf.get(dragged).item)
  })
  const over = (event) => {
    const row = event.target.closest('[data-row]')
    if (!dragged || !row) return null
    const { top, height } = row.getBoundingClientRect()
    return event.clientY < top + height / 2 ? row : row.nextElementSibling
  }
  let marked = null
  const mark = (row, name) => {
    marked?.classList.remove('above', 'below')
    marked = row
    marked?.classList.add(name)
  }
  list.addEventListener('dragover', (event) => {
    if (!dragged) return
    event.preventDefault()
    const before = over(event)
    if (before) mark(before, 'above')
    else mark(list.lastElementChild, 'below')
  })
  list.addEventListener('drop', (event) => {
    if (!dragged) return
    event.preventDefault()
    move(dragged, over(event))
    moves.focus(dragged)
  })
  list.addEventListener('dragend', () => {
    mark(null)
    dragged = null
  })

  list.append(...edited.entries.map(make).reverse())
  arrange(edited.entries)
  moves.keep()
  return {
    element: h('div', {}, list, said),
    takeOut: (entry) => entry.removed || toggle(entry),
    prepend: (entry) => {
      list.prepend(make(entry))
      arrange([...edited.entries, entry])
      list.scrollTop = 0
      moves.keep()
      onChange()
    },
  }
}
