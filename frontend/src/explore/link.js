import { count } from '../numbers.js'

/**
 * Write a history in short: `0-33,~34,+B00X` are the first 34 behaviours of the log, one taken out, one added.
 *
 * @param {{place: number|null, removed: boolean, item: string}[]} entries places are counted from `older` on
 * @param {number} older behaviours of the log before place 0: what is written counts from the first of all
 * @returns {string}
 */
export function writtenHistory(entries, older) {
  const tokens = []
  for (let k = 0; k < entries.length; ) {
    const { place, removed, item } = entries[k]
    const sign = removed ? '~' : ''
    let last = k
    if (place === null) tokens.push(`${sign}+${encodeURIComponent(item)}`)
    else {
      const follows = (next, before) => next.place === before.place + 1 && next.removed === removed
      while (last + 1 < entries.length && follows(entries[last + 1], entries[last])) last += 1
      tokens.push(`${sign}${older + place}${last > k ? `-${older + entries[last].place}` : ''}`)
    }
    k = last + 1
  }
  return tokens.join(',')
}

/**
 * Read what {@link writtenHistory} wrote.
 *
 * @param {string} text
 * @param {number} older behaviours of the log before the first that is shown
 * @param {number} length how many are shown
 * @returns {{entries: {place: number|null, item: string|null, removed: boolean}[], notes: string[]}} an entry has a
 *   place, or the item that was added; `notes` say what could not be taken over
 */
export function readHistory(text, older, length) {
  const entries = []
  const seen = new Set()
  const wrong = []
  let [unseen, twice] = [0, 0]
  for (const token of text.split(',').filter(Boolean)) {
    const removed = token.startsWith('~')
    const rest = removed ? token.slice(1) : token
    const range = rest.match(/^(\d+)(?:-(\d+))?$/)
    const item = /^[+ ]/.test(rest) ? decoded(rest.slice(1)) : null // a plus that was typed is read as a space
    if (item) entries.push({ place: null, item, removed })
    else if (!range) wrong.push(token)
    else {
      const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])]
      if (last < first || last >= older + length) wrong.push(token)
      unseen += Math.max(0, Math.min(last + 1, older) - first)
      for (let place = Math.max(0, first - older); place <= Math.min(last - older, length - 1); place += 1) {
        if (seen.has(place)) twice += 1
        else entries.push({ place, item: null, removed })
        seen.add(place)
      }
    }
  }
  let missing = 0
  for (let place = 0; place < length; place += 1) {
    if (seen.has(place)) continue
    const next = entries.findIndex((one) => one.place > place)
    entries.splice(next < 0 ? entries.length : next, 0, { place, item: null, removed: true })
    missing += 1
  }
  const notes = [
    wrong.length && `The link's history has what this user's log does not: ${wrong.join(', ')}. It is left out.`,
    unseen && `${count(unseen, 'older behaviour')} of the link's history: no run here reads them. They are left out.`,
    twice && `The link names ${count(twice, 'behaviour')} more than once. They stand once.`,
    missing && `The link does not name ${count(missing, 'behaviour')} that the log has. They are taken out; put back what you miss.`,
  ]
  return { entries, notes: notes.filter(Boolean) }
}

/** Write ids as a list of a link. */
export const writtenList = (ids) => ids.map(encodeURIComponent).join(',')

/**
 * Read what {@link writtenList} wrote; each id stands once.
 *
 * @returns {{ids: string[], notes: string[]}}
 */
export function readList(text, what) {
  const tokens = text.split(',').filter(Boolean)
  const ids = tokens.map(decoded).filter((id) => id !== null)
  const wrong = tokens.filter((token) => decoded(token) === null)
  const once = [...new Set(ids)]
  const notes = [
    wrong.length && `The link's ${what} cannot be read: ${wrong.join(', ')}. It is left out.`,
    ids.length > once.length && `The link names some ${what} more than once. They stand once.`,
  ]
  return { ids: once, notes: notes.filter(Boolean) }
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
