/** Ask the server; its refusals become errors whose message is its sentence. */
async function ask(path, options) {
  let answer
  try {
    answer = await fetch(path, options)
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new Error('The server does not answer. Is dien explore still running?')
  }
  if (answer.ok) return answer
  const said = await answer.json().catch(() => null)
  throw new Error(said?.error ?? `The server answered ${answer.status}.`)
}

/** Get JSON from a path, with the values of its query. */
export const get = async (path, query = {}) => (await ask(`${path}?${new URLSearchParams(query)}`)).json()

const posted = (data, signal) => ({
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(data), signal,
})

/** Post JSON, and get JSON. */
export const post = async (path, data, signal) => (await ask(path, posted(data, signal))).json()

/** Post JSON, and get text. */
export const postForText = async (path, data, signal) => (await ask(path, posted(data, signal))).text()

/**
 * Do work that takes a while, one at a time: of all that is asked for meanwhile, the last is done once. The server is
 * never asked twice at once, so that it does not work for answers that nobody waits for.
 *
 * @param {() => Promise<void>} work reads what it needs when it begins
 * @param {Object} options
 * @param {(error: Error|null) => void} options.onError told of each failure, and null after a success
 * @param {(busy: boolean) => void} options.onBusy told when it is asked for, and when nothing is left to do
 * @param {AbortSignal} options.signal ends it: nothing is told any more
 * @param {number} [options.pause] milliseconds without another call before it begins
 * @returns {() => void} asks for it
 */
export function newest(work, { onError, onBusy, signal, pause = 0 }) {
  let running = false
  let wanted = false
  let waiting = null
  const run = async () => {
    waiting = null
    if (running) {
      wanted = true
      return
    }
    running = true
    do {
      wanted = false
      let failure = null
      try {
        await work()
      } catch (error) {
        failure = error
      }
      if (signal.aborted) return
      onError(failure)
    } while (wanted)
    running = false
    if (waiting === null) onBusy(false)
  }
  signal.addEventListener('abort', () => clearTimeout(waiting))
  return () => {
    if (signal.aborted) return
    onBusy(true)
    clearTimeout(waiting)
    waiting = setTimeout(run, pause)
  }
}
