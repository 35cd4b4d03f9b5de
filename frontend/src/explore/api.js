/** Ask the server; its refusals become errors whose message is its sentence. */
async function ask(path, options) {
  let answer
  try {
    answer = await fetch(path, options)
  } catch {
    throw new Error('The server does not answer. Is dien explore still running?')
  }
  if (answer.ok) return answer
  const said = await answer.json().catch(() => null)
  throw new Error(said?.error ?? `The server answered ${answer.status}.`)
}

/** Get JSON from a path, with the values of its query. */
export const get = async (path, query = {}) => (await ask(`${path}?${new URLSearchParams(query)}`)).json()

const posted = (data) => ({
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(data),
})

/** Post JSON, and get JSON. */
export const post = async (path, data) => (await ask(path, posted(data))).json()

/** Post JSON, and get text. */
export const postForText = async (path, data) => (await ask(path, posted(data))).text()

/**
 * Do work that takes a while, one at a time: of all that is asked for meanwhile, the last is done once.
 *
 * @param {() => Promise<void>} work reads what it needs when it begins
 * @param {(error: Error|null) => void} onError told of each failure, and null after a success
 * @param {number} [pause] milliseconds without another call before it begins
 * @returns {() => void} asks for it
 */
export function newest(work, onError, pause = 0) {
  let running = false
  let wanted = false
  let waiting
  const run = async () => {
    if (running) {
      wanted = true
      return
    }
    running = true
    do {
      wanted = false
      try {
        await work()
        onError(null)
      } catch (error) {
        onError(error)
      }
    } while (wanted)
    running = false
  }
  return () => {
    clearTimeout(waiting)
    waiting = setTimeout(run, pause)
  }
}
