import { h } from '../dom.js'
import { get } from '../explore/api.js'
import { oneUser } from '../explore/user.js'
import { mountWholeRun } from '../whole-run/mount.js'

const place = document.querySelector('#explore')
const problem = document.querySelector('#problem')

const said = new Map()

/** Say what went wrong with something, until that goes well: other things that go well leave it there. */
function onError(error, what = 'page') {
  if (error) said.set(what, error.message)
  else said.delete(what)
  problem.textContent = [...new Set(said.values())].join(' ')
  problem.hidden = said.size === 0
}

// Another link in the same tab changes what stands after # alone; what the page itself writes there is not told.
addEventListener('hashchange', () => location.reload())

/** Have the address, and the links to the other view, hold what is shown: who goes there and back finds it again. */
function onLink(query) {
  history.replaceState(null, '', `#${query}`)
  carry()
}
function carry() {
  for (const link of document.querySelectorAll('nav a')) link.hash = location.hash
}
carry()

/** Show what the log says beside what the runs have learned. */
async function wholeRuns(runs) {
  place.replaceChildren(h('p', { role: 'status' }, 'Reading a sample of the test split …'))
  const found = []
  for (const [run] of runs.entries()) found.push(await get('/api/whole', { run }))
  place.replaceChildren()
  mountWholeRun(place, found)
}

get('/api/runs')
  .then((runs) => (place.dataset.view === 'whole' ? wholeRuns(runs) : oneUser(place, runs, { onError, onLink })))
  .catch((error) => onError(error))
