/**
 * Put work off until what is in front of the reader has been drawn; of several calls meanwhile the last is done.
 *
 * @param {() => void} work what to do
 * @param {number} milliseconds how much later
 * @returns {() => void} asks for it
 */
export function later(work, milliseconds) {
  let waiting
  return () => {
    clearTimeout(waiting)
    waiting = setTimeout(work, milliseconds)
  }
}
