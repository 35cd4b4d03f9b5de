import { h } from '../dom.js'
import { count } from '../numbers.js'
import { get, post } from './api.js'
import { combobox } from './combobox.js'
import { editor } from './editor.js'
import { Edited } from './state.js'

/**
 * Show one user: search, the history to edit, candidates with scores that follow, and what decided them.
 *
 * @param {HTMLElement} element what it fills
 * @param {{name: string, model: string, reads: number, longest: number, explains: number}[]} runs
 * @param {Object} callbacks
 * @param {(error: Error|null, what: string) => void} callbacks.onError told of what went wrong, and of what goes well
 *   again
 * @param {(query: URLSearchParams) => void} callbacks.onLink told what a link to what is shown holds
 */
export function oneUser(element, runs, { onError, onLink }) {
  const place = h('div', { class: 'user' })
  const search = combobox({
    label: 'User', hint: 'Begin to type an id', onError: (error) => onError(error, 'users'),
    search: (text) => get('/api/users', { q: text }),
    shown: (user) => [user.id, count(user.behaviours, 'behaviour')],
    onChoose: (user) => open(user.id),
  })
  element.replaceChildren(h('div', { class: 'search' }, search.element), place)
  let turn = 0 // of several users that are opened, the last is shown, whichever answer comes first
  let shown = null

  const show = (edited, notes) => {
    shown?.dispose()
    for (const what of ['open', 'score', 'save', 'items', ...runs.map((_, run) => `explain ${run}`)]) onError(null, what)
    shown = editor(edited, runs, {
      onError, onLink,
      onReset: () => {
        edited.reset()
        show(edited, [])
      },
    })
    const said = notes.length ? [h('div', { class: 'notes', role: 'status' }, ...notes.map((note) => h('p', {}, note)))] : []
    place.replaceChildren(...said, ...shown.elements)
  }

  const open = async (user, query = null) => {
    const mine = ++turn
    place.setAttribute('aria-busy', 'true')
    try {
      const edited = new Edited(await get('/api/user', { id: user }))
      if (mine !== turn) return
      const notes = query === null ? [] : edited.fromQuery(query, runs)
      const strange = [...edited.entries.map(({ item }) => item), ...edited.candidates].filter((id) => !edited.items.has(id))
      if (strange.length) {
        const found = Object.entries(await post('/api/shown', strange))
        if (mine !== turn) return
        for (const [id, item] of found) edited.items.set(id, item ?? { id, features: {} })
        const unknown = found.filter(([, item]) => item === null).map(([id]) => id)
        if (unknown.length) notes.push(`The log does not know ${unknown.join(', ')}: scored as an unknown item.`)
      }
      search.input.value = user
      show(edited, notes)
    } catch (error) {
      if (mine === turn) onError(error, 'open')
    } finally {
      if (mine === turn) place.setAttribute('aria-busy', 'false')
    }
  }

  const query = new URLSearchParams(location.hash.slice(1))
  if (query.has('user')) open(query.get('user'), query)
  else {
    const mine = ++turn
    get('/api/users', { q: '' })
      .then(([first]) => first && mine === turn && open(first.id))
      .catch((error) => onError(error, 'open'))
  }
}
