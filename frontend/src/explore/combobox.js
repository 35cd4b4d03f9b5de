import { h } from '../dom.js'
import { later } from '../explanation/later.js'

/**
 * A box to search with: what is typed is looked up, and one of what is found is chosen. It follows the pattern of an
 * editable combobox with a list: arrows move, Enter chooses, Escape closes.
 *
 * @param {Object} options
 * @param {string} options.label what is searched for
 * @param {string} options.hint what may be typed
 * @param {(text: string) => Promise<Object[]>} options.search finds
 * @param {(found: Object) => [string, string]} options.shown a found one's name, and what is said of it
 * @param {(found: Object) => void} options.onChoose called with the chosen one
 * @param {(error: Error|null) => void} options.onError told of what went wrong
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function combobox({ label, hint, search, shown, onChoose, onError }) {
  const id = `box-${Math.random().toString(36).slice(2)}`
  const input = h('input', {
    id, type: 'text', role: 'combobox', autocomplete: 'off', spellcheck: 'false', placeholder: hint,
    'aria-expanded': 'false', 'aria-controls': `${id}-list`, 'aria-autocomplete': 'list',
  })
  const list = h('ul', { id: `${id}-list`, role: 'listbox', 'aria-label': label, hidden: true })
  const said = h('span', { class: 'unseen', role: 'status' })
  let found = []
  let at = -1
  let asked = 0
  let looking = false // what is listed is not yet what was typed
  let wanted = false // Enter was pressed meanwhile: the first that is found is chosen

  const close = () => {
    list.hidden = true
    at = -1
    input.setAttribute('aria-expanded', 'false')
    input.removeAttribute('aria-activedescendant')
  }
  const mark = (place) => {
    at = place
    for (const [k, option] of [...list.children].entries()) option.setAttribute('aria-selected', String(k === at))
    if (at < 0) input.removeAttribute('aria-activedescendant')
    else {
      input.setAttribute('aria-activedescendant', list.children[at].id)
      list.children[at].scrollIntoView({ block: 'nearest' })
    }
  }
  const choose = (place) => {
    const chosen = found[place]
    close()
    if (chosen) onChoose(chosen)
  }
  const look = async () => {
    const mine = ++asked
    looking = true
    try {
      const answer = await search(input.value)
      if (mine !== asked || document.activeElement !== input) return
      found = answer
      onError(null)
    } catch (error) {
      if (mine !== asked) return
      looking = wanted = false
      onError(error)
      return
    }
    looking = false
    if (wanted && found.length) {
      wanted = false
      choose(0)
      return
    }
    wanted = false
    list.replaceChildren(
      ...found.map((one, k) => {
        const [name, more] = shown(one)
        return h(
          'li',
          { role: 'option', id: `${id}-${k}`, 'aria-selected': 'false', onclick: () => choose(k) },
          h('span', { class: 'name' }, name), h('span', { class: 'features' }, more),
        )
      }),
    )
    said.textContent = found.length ? `${found.length} found` : 'Nothing found'
    list.hidden = !found.length
    input.setAttribute('aria-expanded', String(found.length > 0))
    mark(found.length && input.value.trim() ? 0 : -1)
    empty.hidden = found.length > 0
  }
  const soon = later(look, 120)
  const empty = h('p', { class: 'none', hidden: true }, 'Nothing found.')
  input.addEventListener('input', () => {
    asked += 1
    looking = true
    wanted = false
    found = []
    close()
    soon()
  })
  input.addEventListener('focus', () => {
    input.select()
    look()
  })
  input.addEventListener('blur', () => {
    asked += 1
    wanted = false
    empty.hidden = true
    close()
  })
  input.addEventListener('keydown', (event) => {
    const last = found.length - 1
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      if (list.hidden) look()
      else mark(event.key === 'ArrowDown' ? Math.min(last, at + 1) : Math.max(0, at - 1))
    } else if (event.key === 'Enter' && looking) wanted = true
    else if (event.key === 'Enter' && !list.hidden && at >= 0) choose(at)
    else if (event.key === 'Escape' && !list.hidden) close()
    else return
    event.preventDefault()
  })
  list.addEventListener('pointerdown', (event) => event.preventDefault()) // the box keeps the focus
  const element = h('div', { class: 'combobox' }, h('label', { for: id }, label), input, list, empty, said)
  return { element, input }
}
