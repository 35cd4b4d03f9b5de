import { h } from '../dom.js'
import { mountExplanation } from '../explanation/mount.js'
import { featuresOf, nameOf } from '../explanation/items.js'
import { count } from '../numbers.js'
import { get, newest, post, postForText } from './api.js'
import { candidateTable } from './candidates.js'
import { combobox } from './combobox.js'
import { historyList } from './history.js'
import { Edited } from './state.js'

/**
 * Show one user: search, the history to edit, candidates with scores that follow, and what decided them.
 *
 * @param {HTMLElement} element what it fills
 * @param {{name: string, model: string, reads: number}[]} runs
 * @param {(error: Error|null, what?: string) => void} onError told of what went wrong, and of what goes well again
 */
export function oneUser(element, runs, onError) {
  const place = h('div', {})
  const search = combobox({
    label: 'User', hint: 'Begin to type an id', onError: (error) => onError(error, 'search'),
    search: (text) => get('/api/users', { q: text }),
    shown: (user) => [user.id, count(user.behaviours, 'behaviour')],
    onChoose: (user) => open(user.id).catch(onError),
  })
  element.replaceChildren(h('div', { class: 'search' }, search.element), place)

  const open = async (user, query) => {
    const found = await get('/api/user', { id: user })
    const edited = new Edited(found)
    if (query) {
      edited.fromQuery(query)
      const unknown = [...edited.entries.map(({ item }) => item), ...edited.candidates].filter((id) => !edited.items.has(id))
      if (unknown.length) {
        for (const [id, item] of Object.entries(await post('/api/shown', unknown))) edited.items.set(id, item)
      }
    }
    for (const what of ['', 'score', 'save', ...runs.map((_, run) => `explain ${run}`)]) onError(null, what)
    search.input.value = user
    show(edited)
  }
  const show = (edited) => place.replaceChildren(...editor(edited, runs, onError, () => {
    edited.reset()
    show(edited)
  }))

  const query = new URLSearchParams(location.hash.slice(1))
  const made = query.get('runs')?.split(',').map(decodeURIComponent) ?? []
  if (query.has('user')) {
    open(query.get('user'), query)
      .then(() => {
        const ours = runs.map(({ name }) => name)
        if (made.length && made.join('\n') !== ours.join('\n')) {
          onError(new Error(`This link was made of ${made.join(' and ')}; what you see is of ${ours.join(' and ')}.`))
        }
      })
      .catch(onError)
  } else {
    get('/api/users', { q: '' }).then(([first]) => first && open(first.id)).catch(onError)
  }
}

/** The parts of the page that show a user. */
function editor(edited, runs, onError, onReset) {
  const views = runs.map(() => null)
  const places = runs.map(() => h('div', { class: 'view', 'aria-busy': 'true' }, h('p', {}, 'Explaining …')))
  const status = h('p', { class: 'state', role: 'status' })
  const { logged } = edited

  const changed = () => {
    status.textContent = edited.said
    reset.hidden = edited.asLogged
    history.replaceState(null, '', `#${edited.toQuery(runs)}`)
    score()
    for (const explain of explains) explain()
  }
  const score = newest(async () => {
    const candidates = edited.candidates
    if (!candidates.length) return
    const requests = runs.flatMap((_, run) => [edited.request(run), edited.request(run, { logged: true })])
    const answers = await Promise.all(requests.map((request) => post('/api/score', request)))
    if (candidates === edited.candidates) {
      table.scored(runs.map((_, k) => answers[2 * k]), runs.map((_, k) => answers[2 * k + 1]))
    }
  }, (error) => onError(error, 'score'))
  const explains = runs.map((_, run) => newest(async () => {
    const request = edited.request(run)
    if (!request.candidates.length) return
    const active = edited.active
    places[run].setAttribute('aria-busy', 'true')
    let explanation
    try {
      explanation = await post('/api/explain', request)
    } finally {
      places[run].setAttribute('aria-busy', 'false')
    }
    const older = active.length - explanation.history.length
    const of = { explanation, active, older, candidates: request.candidates }
    await new Promise((resume) => setTimeout(resume)) // reading a long answer was a task of its own
    const candidate = Math.max(0, request.candidates.indexOf(edited.candidate))
    if (views[run]) {
      views[run].of = of
      views[run].view.update(explanation, candidate)
    } else {
      views[run] = { of }
      places[run].replaceChildren()
      views[run].view = mountExplanation(places[run], explanation, {
        candidate,
        onRemove: (at) => list.toggle(views[run].of.active[views[run].of.older + at]),
      })
    }
  }, (error) => {
    onError(error, `explain ${run}`)
    if (error && !views[run]) places[run].replaceChildren(h('p', {}, 'There is no explanation.'))
  }, 120))

  const list = historyList(edited, {
    timed: logged.times !== null,
    onChange: changed,
    onPick: (entry) => {
      for (const one of views) {
        const at = one ? one.of.active.indexOf(entry) - one.of.older : -1
        if (at >= 0) one.view?.highlight(at)
      }
    },
  })
  const table = candidateTable(edited, runs, {
    onChange: changed,
    onPick: (item) => {
      history.replaceState(null, '', `#${edited.toQuery(runs)}`)
      for (const one of views) {
        const at = one ? one.of.candidates.indexOf(item) : -1
        if (at >= 0) one.view?.pick(at)
      }
    },
  })
  const items = (label, onChoose) => combobox({
    label, hint: 'Id or name', onError: (error) => onError(error, 'search'),
    search: (text) => get('/api/items', { q: text }),
    shown: (item) => [nameOf(item), featuresOf(item)],
    onChoose: (item) => {
      edited.items.set(item.id, item)
      onChoose(item.id)
    },
  })
  const newer = items('Add a behaviour', (id) => list.prepend(edited.added(id)))
  const more = items('Add a candidate', (id) => table.add(id))
  for (const { input } of [newer, more]) input.addEventListener('blur', () => { input.value = '' })
  const reset = h('button', { type: 'button', hidden: true, onclick: onReset }, 'As the log has it')
  setTimeout(changed)
  return [
    h('div', { class: 'edit' },
      h('section', { 'aria-labelledby': 'of-history' },
        h('h2', { id: 'of-history' }, 'History'),
        h('p', {}, about(logged)),
        h('div', { class: 'tools' }, newer.element, reset),
        list.element,
        h('p', { class: 'hint' }, 'Newest first. Drag a row to move it; or Tab to the list, arrows to a row, Delete to remove or put back, '
          + 'Alt and an arrow to move. What you add counts as of a minute before the impression.')),
      h('section', { 'aria-labelledby': 'of-candidates' },
        h('h2', { id: 'of-candidates' }, 'Candidates'),
        status,
        h('div', { class: 'tools' }, more.element),
        table.element)),
    h('div', { class: 'views' }, ...runs.map((run, k) => h('section', { 'aria-label': `Run ${run.name}` },
      h('div', { class: 'of-run' },
        h('h2', {}, `${run.name} `, h('span', { class: 'model' }, run.model)),
        h('button', { type: 'button', onclick: () => save(edited.request(k), (error) => onError(error, 'save')) }, 'Save as a page')),
      places[k]))),
  ]
}

function about({ split, older, history: shown, time }) {
  const of = split === null ? 'There is no impression of this user.' : `Before the newest impression, of ${split}.`
  const left = older ? ` ${count(older, 'older behaviour')} not shown: no run here reads them.` : ''
  return `${count(shown.length, 'behaviour')}. ${of}${left}`
}

/** Save the explanation of a run as a page of its own. */
async function save(request, onError) {
  try {
    const url = URL.createObjectURL(new Blob([await postForText('/api/page', request)], { type: 'text/html' }))
    h('a', { href: url, download: 'explanation.html' }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
    onError(null)
  } catch (error) {
    onError(error)
  }
}
