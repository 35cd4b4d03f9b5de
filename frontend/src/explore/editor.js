import { h } from '../dom.js'
import { mountExplanation } from '../explanation/mount.js'
import { featuresOf, nameOf } from '../explanation/items.js'
import { count } from '../numbers.js'
import { get, newest, post, postForText } from './api.js'
import { candidateTable } from './candidates.js'
import { combobox } from './combobox.js'
import { bound, explained } from './explained.js'
import { historyList } from './history.js'

/**
 * Make the parts of the page that show a user.
 *
 * @param {import('./state.js').Edited} edited what they show and change
 * @param {{name: string, model: string, longest: number, explains: number}[]} runs
 * @param {Object} callbacks
 * @param {(error: Error|null, what: string) => void} callbacks.onError told of what went wrong, and goes well again
 * @param {(query: URLSearchParams) => void} callbacks.onLink told what a link to what is shown holds
 * @param {() => void} callbacks.onReset called when the log's history and candidates are wanted again
 * @returns {{elements: HTMLElement[], dispose: () => void}} `dispose` ends what goes on: another user is shown
 */
export function editor(edited, runs, { onError, onLink, onReset }) {
  const stop = new AbortController()
  const { signal } = stop
  const tell = (error, what) => signal.aborted || onError(error, what)
  const { logged } = edited
  const views = runs.map(() => null)
  const places = runs.map(() => h('div', { class: 'view', 'aria-busy': 'true' }, h('p', {}, 'Explaining …')))
  const bounds = runs.map(() => h('p', { class: 'bound', role: 'status' }))
  const status = h('p', { class: 'state', role: 'status' })

  const changed = () => {
    if (signal.aborted) return
    status.textContent = edited.said
    reset.hidden = edited.asLogged
    onLink(edited.toQuery(runs))
    score()
    for (const explain of explains) explain()
  }

  const score = newest(async () => {
    const candidates = edited.candidates
    if (!candidates.length) return
    const requests = runs.flatMap((_, run) => [edited.request(run), edited.request(run, { logged: true })])
    const answers = await Promise.all(requests.map((request) => post('/api/score', request, signal)))
    if (candidates === edited.candidates && !signal.aborted) {
      table.scored(runs.map((_, k) => answers[2 * k]), runs.map((_, k) => answers[2 * k + 1]))
    }
  }, {
    signal,
    onError: (error) => {
      tell(error, 'score')
      if (error) table.unknown()
    },
    onBusy: (busy) => table.element.setAttribute('aria-busy', busy),
  })

  /** Show a sentence where an explanation stood: it was of something else. */
  const clear = (run, sentence) => {
    views[run]?.view.dispose()
    views[run] = null
    bounds[run].textContent = ''
    places[run].replaceChildren(h('p', {}, sentence))
  }
  const explains = runs.map((_, run) => newest(async () => {
    if (!edited.candidates.length) {
      clear(run, 'There are no candidates. Add one to see what decides its score.')
      return
    }
    const active = edited.active
    const { request, of: among } = await explained(edited, runs, run, signal)
    const explanation = await post('/api/explain', request, signal)
    await new Promise((resume) => setTimeout(resume)) // reading a long answer was a task of its own
    if (signal.aborted) return
    const of = { explanation, active, older: active.length - explanation.history.length, candidates: request.candidates }
    const candidate = Math.max(0, request.candidates.indexOf(edited.candidate))
    bounds[run].textContent = bound(request.candidates.length, among)
    if (views[run]) {
      views[run].of = of
      views[run].view.update(explanation, candidate)
    } else {
      views[run] = { of }
      places[run].replaceChildren()
      views[run].view = mountExplanation(places[run], explanation, {
        candidate, onRemove: (at) => list.takeOut(views[run].of.active[views[run].of.older + at]),
      })
    }
  }, {
    signal, pause: 120,
    onError: (error) => {
      tell(error, `explain ${run}`)
      if (error) clear(run, 'There is no explanation.')
    },
    onBusy: (busy) => places[run].setAttribute('aria-busy', busy),
  }))

  const list = historyList(edited, {
    timed: logged.times !== null,
    onChange: changed,
    onPick: (entry) => {
      for (const one of views) {
        const at = one ? one.of.active.indexOf(entry) - one.of.older : -1
        if (at >= 0) one.view.highlight(at)
      }
    },
  })
  const table = candidateTable(edited, runs, {
    onChange: changed,
    onPick: (item) => {
      onLink(edited.toQuery(runs))
      for (const [run, one] of views.entries()) {
        const at = one ? one.of.candidates.indexOf(item) : -1
        if (at >= 0) one.view.pick(at)
        else if (one && item !== null) explains[run]()
      }
    },
  })
  const items = (label, onChoose) => combobox({
    label, hint: 'Id or name', onError: (error) => tell(error, 'items'),
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

  /** Save the explanation of a run as a page of its own. */
  const save = async (run) => {
    try {
      const { request } = await explained(edited, runs, run, signal)
      const url = URL.createObjectURL(new Blob([await postForText('/api/page', request, signal)], { type: 'text/html' }))
      h('a', { href: url, download: 'explanation.html' }).click()
      setTimeout(() => URL.revokeObjectURL(url), 10_000)
      tell(null, 'save')
    } catch (error) {
      tell(error, 'save')
    }
  }

  const elements = [
    h('div', { class: 'edit' },
      h('section', { 'aria-labelledby': 'of-history' },
        h('h2', { id: 'of-history' }, 'History'),
        h('p', {}, about(logged)),
        h('div', { class: 'tools' }, newer.element, reset),
        list.element,
        h('p', { class: 'hint' }, hint(logged))),
      h('section', { 'aria-labelledby': 'of-candidates' },
        h('h2', { id: 'of-candidates' }, 'Candidates'),
        status,
        repeated(logged),
        h('div', { class: 'tools' }, more.element),
        table.element)),
    h('div', { class: 'views' }, ...runs.map((run, k) => h('section', { 'aria-label': `Run ${run.name}` },
      h('div', { class: 'of-run' },
        h('h2', {}, `${run.name} `, h('span', { class: 'model' }, run.model)),
        h('button', { type: 'button', onclick: () => save(k) }, 'Save as a page')),
      bounds[k],
      places[k]))),
  ]
  return {
    elements,
    dispose: () => {
      stop.abort()
      for (const one of views) one?.view.dispose()
    },
  }
}

function about({ split, older, history: shown }) {
  const of = split === null ? 'There is no impression of this user.' : `Before the newest impression, of ${split}.`
  const left = older ? ` ${count(older, 'older behaviour')} not shown: no run here reads them.` : ''
  return `${count(shown.length, 'behaviour')}. ${of}${left}`
}

function hint({ times }) {
  const timed = times === null ? '' : ' Times stay where they are: what you move takes the time of its new place, '
    + 'and what you add is of a minute before the impression.'
  return 'Newest first. Drag a row to move it; or Tab to the list, arrows to a row, Delete to remove or put back, '
    + `Alt and an arrow to move.${timed}`
}

/** Say that the log shows some candidates twice, which stand once here; null where it does not. */
function repeated({ candidates }) {
  const more = candidates.length - new Set(candidates).size
  return more ? h('p', { class: 'hint' }, `The impression has ${count(more, 'candidate')} more than once. They stand once here.`) : null
}
