import { count } from '../numbers.js'

/** Whether a candidate reads the behaviour at a place as a step of the sequence: only then have its numbers a value. */
export const readAt = ({ attention, gate, features }, k) =>
  [...Object.values(attention), gate, ...Object.values(features)].every((values) => values[k] !== null)

/** Say of a candidate how much of the history the model reads, and how. */
export function readsOf({ history, left_out: leftOut, filter_by: by, matched }, { reads }) {
  const T = history.length
  const n = (value) => value.toLocaleString('en')
  const older = leftOut ? `${count(leftOut, 'older one')} not at all` : ''
  if (reads >= T) return older ? `The model reads all of them, and ${older}.` : ''
  const sequence = `As a sequence the model reads ${by == null ? `the newest ${n(reads)}` : `${n(reads)}, of the same ${by} as the candidate`}`
  const over = matched ? `matches are counted over ${matched < T ? `the newest ${n(matched)}` : `all ${n(T)}`}` : 'of the others it reads nothing'
  return `${[sequence, over, ...(older ? [`it reads ${older}`] : [])].join('; ')}.`
}
