/**
 * What the page shows: a user of the log, the history as it was edited, the candidates.
 *
 * An entry is `{item, time, features, place, removed}`: `place` is where it stands in the log's history, null for one
 * that was added; one that was removed keeps its place, to be put back.
 */
export class Edited {
  constructor({ logged, items }) {
    this.logged = logged
    this.items = new Map(Object.entries(items))
    this.reset()
  }

  /** As the log has it. */
  reset() {
    this.entries = this.logged.history.map((_, place) => this.#fromLog(place))
    this.candidates = [...new Set(this.logged.candidates)]
    this.candidate = this.candidates[0] ?? null
  }

  #fromLog(place) {
    const { history, times, behaviours } = this.logged
    const features = Object.fromEntries(Object.entries(behaviours).map(([name, values]) => [name, values[place]]))
    return { item: history[place], time: times?.[place] ?? null, features, place, removed: false }
  }

  /** A new entry, of a minute before the impression, but of no earlier time than the newest one of the log. */
  added(item) {
    const { times, time: now } = this.logged
    const time = times === null || now === null ? null : Math.max(times.at(-1) ?? now - 60, now - 60)
    return { item, time, features: {}, place: null, removed: false }
  }

  /** Entries that count, oldest first. */
  get active() {
    return this.entries.filter(({ removed }) => !removed)
  }

  /** Whether the history is as the log has it. */
  get asLogged() {
    const { entries, logged } = this
    return entries.length === logged.history.length && entries.every(({ place, removed }, k) => place === k && !removed)
  }

  /** What the server is asked, of the history as it is now or as the log has it. */
  request(run, { logged = false } = {}) {
    const all = logged ? this.logged.history.map((_, place) => this.#fromLog(place)) : this.active
    const names = Object.keys(this.logged.behaviours)
    return {
      run,
      user: this.logged.user,
      history: all.map(({ item }) => item),
      candidates: this.candidates,
      times: this.logged.times && all.map(({ time }) => time),
      behaviours: Object.fromEntries(names.map((name) => [name, all.map(({ features }) => features[name] ?? null)])),
      time: this.logged.time,
      context: this.logged.context,
    }
  }

  /** How the history differs from the log's, in words. */
  get said() {
    const out = this.entries.filter(({ removed }) => removed).length
    const added = this.entries.filter(({ place, removed }) => place === null && !removed).length
    const order = this.entries.flatMap(({ place }) => (place === null ? [] : [place]))
    const moved = order.some((place, k) => k && place < order[k - 1])
    const parts = [out && `${out} removed`, added && `${added} added`, moved && 'reordered'].filter(Boolean)
    return parts.length ? `The history with ${parts.join(', ')}.` : 'The history as the log has it.'
  }

  /** Write what was edited as a query, for the address of the page. */
  toQuery(runs) {
    const query = new URLSearchParams({ user: this.logged.user })
    if (!this.asLogged) query.set('history', written(this.entries))
    if (this.candidates.join('\n') !== [...new Set(this.logged.candidates)].join('\n')) {
      query.set('candidates', this.candidates.map(encodeURIComponent).join(','))
    }
    if (this.candidate !== null && this.candidate !== this.candidates[0]) query.set('candidate', this.candidate)
    query.set('runs', runs.map(({ name }) => encodeURIComponent(name)).join(','))
    return query
  }

  /** Take over what {@link toQuery} wrote; what does not fit the log is left out. */
  fromQuery(query) {
    if (query.has('history')) this.entries = this.#read(query.get('history'))
    if (query.has('candidates')) {
      this.candidates = query.get('candidates').split(',').filter(Boolean).map(decodeURIComponent)
    }
    const chosen = query.get('candidate')
    this.candidate = this.candidates.includes(chosen) ? chosen : this.candidates[0] ?? null
  }

  #read(text) {
    return text.split(',').filter(Boolean).flatMap((token) => {
      const removed = token.startsWith('~')
      const rest = removed ? token.slice(1) : token
      if (rest.startsWith('+')) return [{ ...this.added(decodeURIComponent(rest.slice(1))), removed }]
      const [first, last = first] = rest.split('-').map(Number)
      const length = Math.min(last, this.logged.history.length - 1) - first + 1
      if (!(length > 0 && first >= 0)) return []
      return Array.from({ length }, (_, k) => ({ ...this.#fromLog(first + k), removed }))
    })
  }
}

/** Entries in short: `0-33,~34,+B00X` are the first 34, one removed, one added. */
function written(entries) {
  const tokens = []
  for (let k = 0; k < entries.length; ) {
    const { place, removed, item } = entries[k]
    const sign = removed ? '~' : ''
    let last = k
    if (place === null) tokens.push(`${sign}+${encodeURIComponent(item)}`)
    else {
      const follows = (next, before) => next.place === before.place + 1 && next.removed === removed
      while (last + 1 < entries.length && follows(entries[last + 1], entries[last])) last += 1
      tokens.push(`${sign}${place}${last > k ? `-${entries[last].place}` : ''}`)
    }
    k = last + 1
  }
  return tokens.join(',')
}
