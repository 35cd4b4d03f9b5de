import { h } from '../dom.js'
import { get } from '../explore/api.js'
import { oneUser } from '../explore/user.js'
import { mountWholeRun } from '../whole-run/mount.js'

const place = document.querySelector('#explore')
const problem = document.querySelector('#problem')

/** Say what went wrong, until something goes well. */
function onError(error) {
  problem.textContent = error ? error.message : ''
  problem.hidden = !error
}

/** Show what the log says beside what the runs have learned. */
async function wholeRuns(runs) {
  place.replaceChildren(h('p', { role: 'status' }, 'Reading a sample of the test split …'))
  const found = []
  for (const [run] of runs.entries()) found.push(await get('/api/whole', { run }))
  place.replaceChildren()
  mountWholeRun(place, found)
}

get('/api/runs')
  .then((runs) => (place.dataset.view === 'whole' ? wholeRuns(runs) : oneUser(place, runs, onError)))
  .catch(onError)
