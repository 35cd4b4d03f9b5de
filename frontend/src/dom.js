/**
 * Make an element. Children that are strings become text, never markup: names of items are strangers' words.
 *
 * @param {string} tag its name
 * @param {Object} [attributes] values; `onclick` and its like are functions; false and null leave one out
 * @param {...(Node|string|number|null)} children what it holds
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue
    if (typeof value === 'function') made.addEventListener(name.slice(2), value)
    else made.setAttribute(name, value === true ? '' : value)
  }
  made.append(...children.filter((child) => child != null).map((c) => (c instanceof Node ? c : String(c))))
  return made
}
