import { readHistory, readList, writtenHistory, writtenList } from './link.js'

/**
 * What the page shows: a user of the log, the history as it was edited, the candidates.
 *
 * An entry is `{item, time, features, place, removed}`: `place` is where it stands in the log's history, null for one
 * that was added; one that was removed keeps its place, to be put back. Times belong to the places of the history, and
 * stay there when behaviours are moved: they never run backwards where the log's do not.
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
    this.candidates = this.#loggedCandidates
    this.candidate = this.candidates[0] ?? null
  }

  get #loggedCandidates() {
    return [...new Set(this.logged.candidates)]
  }

  #fromLog(place) {
    const { history, times, behaviours } = this.logged
    const features = Object.fromEntries(Object.entries(behaviours).map(([name, values]) => [name, values[place]]))
    return { item: history[place], time: times?.[place] ?? null, features, place, removed: false }
  }

  /** The time of what is added: a minute before the impression, but no earlier than the newest one of the log. */
  get #timeOfAdded() {
    const { times, time: now } = this.logged
    return times === null || now === null ? null : Math.max(times.at(-1) ?? now - 60, now - 60)
  }

  /** A new entry, to be the newest. */
  added(item) {
    return { item, time: this.#timeOfAdded, features: {}, place: null, removed: false }
  }

  /** Have these entries, oldest first: each gets the time of its place. */
  arrange(entries) {
    const places = entries.flatMap(({ place }) => (place === null ? [] : [place])).sort((a, b) => a - b)
    for (const [k, entry] of entries.entries()) {
      entry.time = k < places.length ? this.logged.times?.[places[k]] ?? null : this.#timeOfAdded
    }
    this.entries = entries
  }

  /** Entries that count, oldest first. */
  get active() {
    return this.entries.filter(({ removed }) => !removed)
  }

  /** Whether history and candidates are as the log has them. */
  get asLogged() {
    return this.#historyAsLogged && this.#candidatesAsLogged
  }

  get #historyAsLogged() {
    const { entries, logged } = this
    return entries.length === logged.history.length && entries.every(({ place, removed }, k) => place === k && !removed)
  }

  get #candidatesAsLogged() {
    return this.candidates.join('\n') === this.#loggedCandidates.join('\n')
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
    const order = this.entries.map(({ place }) => place ?? Infinity)
    const moved = order.some((place, k) => k && place < order[k - 1])
    const parts = [out && `${out} removed`, added && `${added} added`, moved && 'reordered'].filter(Boolean)
    return parts.length ? `The history with ${parts.join(', ')}.` : 'The history as the log has it.'
  }

  /** Which impression it is, and what came before it: a link that was made of another one does not fit. */
  get #impression() {
    const { split, time, older, history } = this.logged
    return [split ?? 'none', time ?? '', older + history.length].join('.')
  }

  /** Write what was edited as a query, for the address of the page. */
  toQuery(runs) {
    const query = new URLSearchParams({ user: this.logged.user, of: this.#impression })
    if (!this.#historyAsLogged) query.set('history', writtenHistory(this.entries, this.logged.older))
    if (!this.#candidatesAsLogged) query.set('candidates', writtenList(this.candidates))
    if (this.candidate !== null && this.candidate !== this.candidates[0]) query.set('candidate', this.candidate)
    query.set('runs', writtenList(runs.map(({ name }) => name)))
    return query
  }

  /**
   * Take over what {@link toQuery} wrote, as far as it fits the log.
   *
   * @returns {string[]} what does not, in sentences
   */
  fromQuery(query, runs) {
    const notes = []
    const ours = runs.map(({ name }) => name)
    if (query.has('runs')) {
      const made = readList(query.get('runs'), 'runs')
      if (made.ids.join('\n') !== [...new Set(ours)].join('\n')) {
        notes.push(`This link was made of ${made.ids.join(' and ') || 'other runs'}; what you see is of ${ours.join(' and ')}.`)
      }
    }
    if (query.has('of') && query.get('of') !== this.#impression) {
      return [...notes, 'This link was made of another impression than the newest one that the log has of this user. '
        + 'You see this newest one, without what the link changes.']
    }
    if (query.has('history')) {
      const found = readHistory(query.get('history'), this.logged.older, this.logged.history.length)
      this.arrange(found.entries.map(({ place, item, removed }) => (
        { ...(place === null ? this.added(item) : this.#fromLog(place)), removed })))
      notes.push(...found.notes)
    }
    if (query.has('candidates')) {
      const found = readList(query.get('candidates'), 'candidates')
      this.candidates = found.ids
      notes.push(...found.notes)
    }
    this.candidate = this.candidates[0] ?? null
    if (query.has('candidate')) {
      if (this.candidates.includes(query.get('candidate'))) this.candidate = query.get('candidate')
      else notes.push(`The link's candidate ${query.get('candidate')} is not among the candidates.`)
    }
    return notes
  }
}
