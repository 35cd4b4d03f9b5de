/**
 * Have one button of each row of a long list in the order of Tab, and arrows move among rows.
 *
 * @param {HTMLElement} list whose children are the rows
 * @param {string} selector of the button that stands for a row
 * @returns {{focus: (row: Element|null) => void, keep: () => void}} `focus` moves to a row; `keep` sees that a row is
 *   in the order of Tab, after rows came or went
 */
export function rover(list, selector) {
  let current = null
  const button = (row) => row?.querySelector(selector)
  const take = (row) => {
    if (current !== row) {
      const before = button(current)
      if (before) before.tabIndex = -1
    }
    current = row
    const now = button(row)
    if (now) now.tabIndex = 0
  }
  list.addEventListener('focusin', (event) => {
    const row = event.target.closest('[data-row]')
    if (row) take(row)
  })
  list.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const row = event.target.closest('[data-row]')
    const to = {
      ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling,
      Home: list.firstElementChild, End: list.lastElementChild,
    }[event.key]
    if (!(event.key in { ArrowDown: 1, ArrowUp: 1, Home: 1, End: 1 })) return
    event.preventDefault()
    button(to)?.focus()
  })
  return {
    focus: (row) => button(row)?.focus(),
    keep: () => {
      if (!current || current.parentElement !== list) take(list.firstElementChild)
    },
  }
}
